//! Numbers of several rounds in a row, and how they are written.

/// What the rounds showed for one number: the least, the median, the most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of at least one number.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let middle = numbers.len() / 2;
        let median = match numbers.len() % 2 {
            1 => numbers[middle],
            _ => f64::midpoint(numbers[middle - 1], numbers[middle]),
        };
        Spread { min: numbers[0], median, max: numbers[numbers.len() - 1] }
    }

    /// `median (min-max)`, or the number alone when all rounds showed it.
    pub(crate) fn text(&self, write: impl Fn(f64) -> String) -> String {
        let [min, median, max] = [self.min, self.median, self.max].map(write);
        if min == max { median } else { format!("{median} ({min}-{max})") }
    }
}

/// Three digits that count, thousands parted: `0.413`, `6.53`, `97.2`, `2,130,000`.
pub(crate) fn short(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    let magnitude = number.abs().log10().floor() as i32;
    let decimals = (2 - magnitude).max(0) as usize;
    if decimals > 0 {
        return format!("{number:.decimals$}");
    }
    let unit = 10_f64.powi(magnitude - 2);
    let whole = ((number / unit).round() * unit).to_string();
    let digits = whole.len();
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (digits - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Spread, short};

    #[test]
    fn spreads_of_odd_and_even_counts() {
        let check = |numbers: &[f64], text: &str| {
            let spread = Spread::of(numbers.iter().copied());
            assert_eq!(spread.text(|number| number.to_string()), text);
        };
        check(&[2.0], "2");
        check(&[3.0, 1.0, 2.0], "2 (1-3)");
        check(&[4.0, 1.0], "2.5 (1-4)");
        check(&[5.0, 5.0, 5.0], "5");
    }

    #[test]
    fn three_digits_count() {
        for (number, text) in [
            (0.0, "0"),
            (0.4131, "0.413"),
            (6.527, "6.53"),
            (97.16, "97.2"),
            (512.3, "512"),
            (1234.0, "1,230"),
            (2_130_499.0, "2,130,000"),
            (999.6, "1,000"),
        ] {
            assert_eq!(short(number), text);
        }
    }
}
