//! The incidents of a week, in an order that a seed selects.

/// Something that happens to a login, or to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// The tokens in the file become empty, as Claude Code leaves a rejected login.
    Cleared,
    /// The file ends in the middle.
    Torn,
    /// The file is deleted.
    Deleted,
    /// The file of an earlier day is put in its place.
    OldCopy,
    /// A client is killed after the server has exchanged its refresh token.
    KilledRefresh,
    /// Three older clients start at once with an expired access token.
    Race,
    /// The servers of Claude Code cannot be reached.
    ApiOutage,
    /// The store is sealed until the next incident.
    StoreOutage,
}

const ALL: [Incident; 8] = [
    Incident::Cleared,
    Incident::Torn,
    Incident::Deleted,
    Incident::OldCopy,
    Incident::KilledRefresh,
    Incident::Race,
    Incident::ApiOutage,
    Incident::StoreOutage,
];

/// An hour of the week in which the user works or something happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hour {
    /// Hours since the start of the week.
    pub(super) number: u64,
    pub(super) incident: Option<Incident>,
    /// The user logs in and starts `claude`. Without a login, a session that is open starts it.
    pub(super) login: bool,
    pub(super) claude: bool,
    pub(super) sync: bool,
}

/// Returns the hours of this many days in which anything happens. Every incident happens at least
/// once in eight hours with an incident.
pub(super) fn plan(days: u64, seed: u64) -> Vec<Hour> {
    let mut random = Random(seed);
    let mut left = Vec::new();
    let mut incident = |random: &mut Random| {
        if left.is_empty() {
            left = ALL.to_vec();
        }
        left.swap_remove(random.below(left.len()))
    };
    let hour = |number: u64| {
        let of_day = number % 24;
        let works = (9..17).contains(&of_day);
        // During the work, in every second hour; and once at night.
        let has_incident = number > 9 && (of_day == 3 || works && of_day.is_multiple_of(2));
        Hour {
            number,
            incident: has_incident.then(|| incident(&mut random)),
            login: works && (of_day == 9 || random.below(2) == 0),
            claude: works,
            sync: of_day.is_multiple_of(6),
        }
    };
    let hours = (0..days * 24).map(hour);
    hours.filter(|hour| hour.incident.is_some() || hour.claude || hour.sync).collect()
}

/// The generator splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).expect("a small number");
        usize::try_from((value ^ (value >> 31)) % bound).expect("less than the bound")
    }
}
