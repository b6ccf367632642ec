//! From numbers to places and colours: round ticks, logarithmic axes, viridis.

/// Viridis (van der Walt, Smith 2015) at nine places, dark to bright.
const VIRIDIS: [[u8; 3]; 9] = [
    [0x44, 0x01, 0x54],
    [0x47, 0x2d, 0x7b],
    [0x3b, 0x52, 0x8b],
    [0x2c, 0x72, 0x8e],
    [0x21, 0x91, 0x8c],
    [0x28, 0xae, 0x80],
    [0x5e, 0xc9, 0x62],
    [0xad, 0xdc, 0x30],
    [0xfd, 0xe7, 0x25],
];

/// Above this part of the scale, dark text is read better than white.
const BRIGHT_FROM: f64 = 0.55;

/// The colour of a part from 0 to 1.
pub(super) fn viridis(part: f64) -> String {
    let place = part.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped above")]
    let below = (place.floor() as usize).min(VIRIDIS.len() - 2);
    let rest = place - below as f64;
    let mix = |channel: usize| {
        let (a, b) = (VIRIDIS[below][channel], VIRIDIS[below + 1][channel]);
        (f64::from(a) + (f64::from(b) - f64::from(a)) * rest).round()
    };
    let hex = |channel: usize| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let value = mix(channel) as u8;
        format!("{value:02x}")
    };
    format!("#{}{}{}", hex(0), hex(1), hex(2))
}

/// The colour of text on [`viridis`] of the same part.
pub(super) fn ink_on(part: f64) -> &'static str {
    if part > BRIGHT_FROM { "#111111" } else { "#ffffff" }
}

/// The colour of one of several lines on white: the bright end would vanish there.
pub(super) fn line_colour(index: usize, count: usize) -> String {
    let last = count.saturating_sub(1).max(1) as f64;
    viridis(index as f64 / last * 0.8)
}

/// Round values from zero to at least `max`, four to six of them.
pub(super) fn ticks(max: f64) -> Vec<f64> {
    let max = max.max(1e-9);
    let rough = max / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power);
    let mut ticks = vec![0.0];
    while ticks[ticks.len() - 1] < max * 0.999 {
        ticks.push(step * ticks.len() as f64);
    }
    ticks
}

/// Powers of ten around the values, at least one decade.
pub(super) fn decades(min: f64, max: f64) -> Vec<f64> {
    let first = min.max(1e-6).log10().floor();
    let last = max.max(1e-6).log10().ceil().max(first + 1.0);
    let mut decades = Vec::new();
    let mut power = first;
    while power <= last {
        decades.push(10f64.powf(power));
        power += 1.0;
    }
    decades
}

/// A tick in as few characters as it needs.
pub(super) fn tick_text(value: f64) -> String {
    // Ticks have two digits; a download of a kilobyte is over within a millisecond.
    let text = format!("{value:.6}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_end() {
        assert_eq!(ticks(532.0), [0.0, 200.0, 400.0, 600.0]);
        assert_eq!(ticks(1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(2300.0), [0.0, 500.0, 1000.0, 1500.0, 2000.0, 2500.0]);
        assert!(ticks(0.0).len() >= 2);
        assert_eq!(decades(0.02, 3.0), [0.01, 0.1, 1.0, 10.0]);
        assert_eq!(decades(1.0, 1.0).len(), 2);
        assert_eq!((tick_text(0.5), tick_text(100.0)), ("0.5".to_owned(), "100".to_owned()));
        assert_eq!((tick_text(0.000_25), tick_text(0.1 + 0.2)), ("0.00025".into(), "0.3".into()));
    }

    #[test]
    fn colours_run_from_dark_to_bright() {
        assert_eq!((viridis(0.0), viridis(1.0)), ("#440154".to_owned(), "#fde725".to_owned()));
        assert_eq!(viridis(0.5), "#21918c");
        assert_eq!((ink_on(0.1), ink_on(0.9)), ("#ffffff", "#111111"));
    }
}
