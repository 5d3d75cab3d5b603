//! The users of the mail server: many, and few of them very active.

use fastrand::Rng;

/// The users, the most active one first.
#[derive(Clone, Debug)]
pub struct Users {
    /// For each user the sum of the shares of all users up to this one.
    sums: Vec<f64>,
}

const FIRST_NAMES: [&str; 20] = [
    "anna",
    "bjarne",
    "carla",
    "dmitri",
    "elif",
    "frank",
    "grace",
    "hanna",
    "ivan",
    "jean",
    "katharina",
    "lars",
    "maria",
    "noor",
    "olga",
    "pavel",
    "ruth",
    "sven",
    "tomas",
    "ursula",
];
const SURNAMES: [&str; 10] = [
    "almeida", "berg", "dubois", "fischer", "horvat", "ito", "korhonen", "novak", "smith", "weber",
];
const DOMAINS: [&str; 5] =
    ["example.com", "example.org", "example.net", "mail.example.com", "uni.example"];

impl Users {
    /// How many there are.
    pub const COUNT: usize = 5000;

    /// All users. The one of rank r is as active as the first one divided by r (Zipf's law).
    pub fn new() -> Self {
        let mut sum = 0.0;
        let sums = (1..=Self::COUNT).map(|rank| {
            sum += 1.0 / rank as f64;
            sum
        });
        Users { sums: sums.collect() }
    }

    /// The name of a user, by place.
    pub fn name(index: usize) -> String {
        let first = FIRST_NAMES[index % 20];
        let surname = SURNAMES[index / 20 % 10];
        let domain = DOMAINS[index / 200 % 5];
        match index / 1000 {
            0 => format!("{first}.{surname}@{domain}"),
            more => format!("{first}.{surname}{more}@{domain}"),
        }
    }

    /// Chooses one by activity, and returns the place.
    pub(super) fn choose(&self, random: &mut Rng) -> usize {
        let last = self.sums.last().expect("invariant: there are users");
        let at = random.f64() * last;
        self.sums.partition_point(|sum| *sum < at).min(Self::COUNT - 1)
    }
}

impl Default for Users {
    fn default() -> Self {
        Self::new()
    }
}
