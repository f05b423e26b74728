//! Complex numbers, as far as filters and spectra need them.

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Complex {
    pub(crate) re: f32,
    pub(crate) im: f32,
}

impl Complex {
    pub(crate) fn of_angle(angle: f32) -> Self {
        Self { re: angle.cos(), im: angle.sin() }
    }

    pub(crate) fn conjugate(self) -> Self {
        Self { im: -self.im, ..self }
    }

    pub(crate) fn scaled(self, by: f32) -> Self {
        Self { re: self.re * by, im: self.im * by }
    }

    pub(crate) fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    pub(crate) fn angle(self) -> f32 {
        self.im.atan2(self.re)
    }
}

impl std::ops::Add for Complex {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }
}

impl std::ops::Mul for Complex {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}
