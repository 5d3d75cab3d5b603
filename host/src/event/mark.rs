//! What is known of a name once it was looked at.

/// A number below 64 made from a name: the same for the same name, and for another one
/// mostly another; and whether the name is plain.
///
/// Whoever wants to know whether a name is among others looks at their marks first, as bits of
/// one word. Names may be chosen to have the same mark: that costs comparisons, nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u8);

/// The bit of plain names.
const PLAIN: u8 = 0x80;

impl Mark {
    /// The mark of no name.
    pub const NONE: Mark = Mark(0);

    /// The mark of `name`.
    pub const fn of(name: &[u8]) -> Self {
        // FNV-1a, and the highest bits of a product, which depend on all bits.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        let mut is_plain = true;
        let mut place = 0;
        while place < name.len() {
            is_plain &=
                matches!(name[place], b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.');
            hash = (hash ^ name[place] as u64).wrapping_mul(0x0100_0000_01b3);
            place += 1;
        }
        let number = (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - 6)) as u8;
        Mark(if is_plain { number | PLAIN } else { number })
    }

    /// The word with only the mark's bit set.
    #[inline]
    pub fn bit(self) -> u64 {
        1 << (self.0 % 64)
    }

    /// Whether the name consists of letters and digits of ASCII, `_`, `-` and `.`: no format
    /// escapes anything in it.
    #[inline]
    pub fn is_plain(self) -> bool {
        self.0 & PLAIN != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn names_that_come_together_have_few_marks_in_common() {
        // Those of an IMAP session and of its commands.
        let names = "user local_ip local_port remote_ip remote_port session service mailbox \
                     cmd_name cmd_input_name cmd_tag cmd_args cmd_human_args tagged_reply \
                     tagged_reply_state last_run_time running_usecs lock_wait_usecs net_in_bytes \
                     net_out_bytes reason_code duration";
        let names: Vec<&str> = names.split_whitespace().collect();
        let marks = names.iter().fold(0, |marks, name| marks | Mark::of(name.as_bytes()).bit());
        assert!(marks.count_ones() as usize > names.len() * 3 / 4, "{marks:b}");
        let every = (0..1000)
            .fold(0, |marks, number: u32| marks | Mark::of(number.to_string().as_bytes()).bit());
        assert_eq!(every, u64::MAX);
    }

    #[test]
    fn a_plain_name_has_nothing_to_escape() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            assert_eq!(Mark::of(&[byte]).is_plain(), expected, "{byte}");
            assert_eq!(Mark::of(&[b'a', byte, b'z']).is_plain(), expected, "{byte}");
        }
    }
}
