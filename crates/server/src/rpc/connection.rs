//! What `sys.call.connect_start` asks for beside the connection itself: volumes, a recording, a file at its time.

use offhook_call::PromptSource;
use offhook_call::command::{ConnectExtras, ConnectRecord, SchedulePlay};
use offhook_call::event::UnixMs;
use offhook_client::wire::limits::{REPEAT_MAX, UNIX_TIME_MAX};
use offhook_client::wire::{ConnectStart, ErrorData};
use offhook_media::event::{Gain, RecordFormat, Volumes};

use super::check;

/// All of it.
pub(super) fn extras(params: &ConnectStart) -> Result<ConnectExtras, ErrorData> {
    let volumes = Volumes {
        first: volume("local_volume", params.local_volume)?,
        second: volume("remote_volume", params.remote_volume)?,
    };
    let (record, schedule) = (record(params)?, schedule(params)?);
    Ok(ConnectExtras { mute_digits: params.mute_digits, volumes, record, schedule })
}

fn volume(param: &str, decibels: Option<i32>) -> Result<Gain, ErrorData> {
    Ok(Gain::from_decibels(check::decibels(param, decibels.unwrap_or_default())?))
}

fn record(params: &ConnectStart) -> Result<Option<ConnectRecord>, ErrorData> {
    let format = check::record_format(params.record_format)?;
    if params.record_stereo && format == RecordFormat::Gsm {
        return Err(check::invalid(
            "record_stereo",
            "false for record_format 5 (GSM), which has one channel",
        ));
    }
    let Some(file) = params.record_file.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    let file = check::recording("record_file", file, format)?;
    Ok(Some(ConnectRecord { file, format, is_stereo: params.record_stereo, second_rate: None }))
}

fn schedule(params: &ConnectStart) -> Result<Option<SchedulePlay>, ErrorData> {
    let times = check::between("schedule_play_loop", params.schedule_play_loop, 0, REPEAT_MAX)?;
    let file = params.schedule_play_file.as_deref().filter(|name| !name.is_empty());
    let file = file.map(|name| check::file("schedule_play_file", name)).transpose()?;
    let time = params.schedule_play_time;
    let time = time.map(|time| check::between("schedule_play_time", time, 0, UNIX_TIME_MAX)).transpose()?;
    let (seconds, name) = match (time, file) {
        (None, None) => return Ok(None),
        // The document: 0 is not at all, 1 once, 2 twice, and so on.
        (Some(_), Some(_)) if times == 0 => return Ok(None),
        (Some(seconds), Some(name)) => (seconds, name),
        (Some(_), None) => {
            return Err(check::invalid("schedule_play_file", "a file name, to go with schedule_play_time"));
        }
        (None, Some(_)) => {
            return Err(check::invalid("schedule_play_time", "a Unix time, to go with schedule_play_file"));
        }
    };
    Ok(Some(SchedulePlay {
        at: UnixMs(seconds.saturating_mul(1000)),
        source: PromptSource::from(name.as_str()),
        repeat: times - 1,
    }))
}
