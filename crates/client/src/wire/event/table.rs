//! How the table of events is made into types.

/// The events by name, in one place: the enum, the payload structs, and the table of names.
macro_rules! events {
    ($($(#[doc = $doc:literal])* $variant:ident / $payload:ident = $name:literal {
        $($(#[doc = $field_doc:literal])* $field:ident: $type:ty,)*
    })*) => {
        /// What happened: the `type` and the `params` of an event.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "type", content = "params")]
        pub enum EventKind {
            $($(#[doc = $doc])* #[serde(rename = $name)] $variant($payload),)*
            /// An event that this version of the client does not know; see [`Event::raw`](crate::Event).
            #[serde(skip)]
            Other,
        }

        $(
            $(#[doc = $doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
            pub struct $payload { $($(#[doc = $field_doc])* pub $field: $type,)* }
        )*

        /// The name of every event.
        pub const EVENT_TYPES: &[&str] = &[$($name),*];

        impl EventKind {
            /// The event's name; empty for [`EventKind::Other`].
            pub fn type_name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                    Self::Other => "",
                }
            }
        }

        /// The schema of each event's parameters, by the event's name.
        #[cfg(feature = "schema")]
        pub fn event_schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
            vec![$(($name, generator.subschema_for::<$payload>())),*]
        }
    };
}
