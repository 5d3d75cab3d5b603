//! Whether a library is cut off or damaged, as far as its loader relies on it.
//!
//! The system's loader believes what a library says of itself: touching what is
//! missing, or an address out of a damaged table, ends the process. So before a
//! library is loaded, everything that the loader follows is looked at: the segments,
//! the dynamic section, the tables it names, the relocations. Code and data are not:
//! a library damaged there may still crash. Only a pinned digest finds every
//! change of a file. What is no 64-bit library of this machine is left to the loader,
//! which says so itself.

use std::{fs::File, io};

use object::{
    Endianness, ReadCache, ReadRef,
    elf::{self, FileHeader64, ProgramHeader64, Rela64},
    read::elf::{Dyn, FileHeader, ProgramHeader, Rela},
};

/// A part of a library that is not as its loader needs it.
type Found = Result<(), &'static str>;

/// Looks for damage in a library's file: what is wrong, if anything is.
///
/// # Errors
///
/// When the file can't be read.
pub(super) fn look(file: &File) -> io::Result<Found> {
    let length = file.metadata()?.len();
    let cache = ReadCache::new(file);
    let magic = cache.read_bytes_at(0, length.min(6)).unwrap_or_default();
    // 64 bits, little-endian; a file that is shorter than its header is cut.
    if !magic.starts_with(b"\x7fELF") || magic.get(4..6).is_some_and(|class| class != [2, 1]) {
        return Ok(Ok(()));
    }
    Ok(look_at(&cache, length))
}

/// The segments of a library, as they will be mapped.
struct Image<'data> {
    endian: Endianness,
    loads: Vec<&'data ProgramHeader64<Endianness>>,
}

impl Image<'_> {
    /// Whether a loaded segment with these flags has these bytes, also those that
    /// are not in the file.
    fn has(&self, start: u64, bytes: u64, flags: u32) -> bool {
        self.loads.iter().any(|load| {
            let begin = load.p_vaddr(self.endian);
            let end = begin.saturating_add(load.p_memsz(self.endian));
            let fits = start.checked_add(bytes).is_some_and(|last| last <= end);
            load.p_flags(self.endian).0 & flags == flags && begin <= start && fits
        })
    }

    /// Where in the file a mapped address comes from, if all of the bytes do.
    fn offset(&self, start: u64, bytes: u64) -> Option<u64> {
        self.loads.iter().find_map(|load| {
            let distance = start.checked_sub(load.p_vaddr(self.endian))?;
            let end = distance.checked_add(bytes)?;
            let offset = load.p_offset(self.endian);
            (end <= load.p_filesz(self.endian)).then(|| offset.saturating_add(distance))
        })
    }
}

fn look_at<'data, R: ReadRef<'data>>(data: R, length: u64) -> Found {
    let header = FileHeader64::<Endianness>::parse(data).map_err(|_| "its header is not whole")?;
    let endian = header.endian().map_err(|_| "its header is not whole")?;
    let programs =
        header.program_headers(endian, data).map_err(|_| "its table of segments is not whole")?;
    let mut image = Image { endian, loads: Vec::new() };
    let mut last_end = 0;
    for program in programs.iter().filter(|program| program.p_type(endian) == elf::PT_LOAD) {
        let end = program.p_offset(endian).checked_add(program.p_filesz(endian));
        if end.is_none_or(|end| end > length) {
            return Err("a segment ends behind the file's end");
        }
        let start = program.p_vaddr(endian);
        let end = start.checked_add(program.p_memsz(endian));
        if start < last_end || end.is_none() || program.p_filesz(endian) > program.p_memsz(endian) {
            return Err("its segments overlap");
        }
        last_end = end.unwrap_or(last_end);
        image.loads.push(program);
    }
    let mut dynamic = None;
    for program in programs {
        let (start, bytes) = (program.p_vaddr(endian), program.p_filesz(endian));
        let mapped = [elf::PT_DYNAMIC, elf::PT_NOTE, elf::PT_TLS, elf::PT_GNU_EH_FRAME];
        let kind = program.p_type(endian);
        let from_file = image.offset(start, bytes) == Some(program.p_offset(endian));
        if mapped.contains(&kind) && !from_file {
            return Err("a segment lies in none that is loaded");
        }
        if kind == elf::PT_GNU_RELRO && !image.has(start, program.p_memsz(endian), 0) {
            return Err("a segment lies in none that is loaded");
        }
        if let Some(entries) =
            program.dynamic(endian, data).map_err(|_| "its dynamic section is not whole")?
        {
            dynamic = Some(entries);
        }
    }
    let entries = dynamic.ok_or("it has no dynamic section")?;
    let Some(end) = entries.iter().position(|entry| entry.tag(endian) == elf::DT_NULL) else {
        return Err("its dynamic section has no end");
    };
    Tables { image, entries: &entries[..end] }.look(data)
}

/// The dynamic section and what it names.
struct Tables<'data> {
    image: Image<'data>,
    entries: &'data [elf::Dyn64<Endianness>],
}

/// Bytes of an entry of the symbol table, and of the relocations with addends.
const ENTRY: u64 = 24;

impl Tables<'_> {
    fn value(&self, tag: elf::DynamicTag) -> Option<u64> {
        let endian = self.image.endian;
        self.entries.iter().find(|entry| entry.tag(endian) == tag).map(|entry| entry.val(endian))
    }

    fn look<'data, R: ReadRef<'data>>(&self, data: R) -> Found {
        let endian = self.image.endian;
        let strings = self.value(elf::DT_STRSZ).unwrap_or(0);
        let texts = [elf::DT_NEEDED, elf::DT_SONAME, elf::DT_RPATH, elf::DT_RUNPATH];
        for entry in self.entries {
            if texts.contains(&entry.tag(endian)) && entry.val(endian) >= strings {
                return Err("a name is not in its table of strings");
            }
        }
        // Each table, and how many bytes it has at the least.
        let size = |tag| self.value(tag).unwrap_or(0);
        let tables = [
            (elf::DT_STRTAB, strings.max(1)),
            (elf::DT_SYMTAB, ENTRY),
            (elf::DT_HASH, 8),
            (elf::DT_GNU_HASH, 16),
            (elf::DT_RELA, size(elf::DT_RELASZ)),
            (elf::DT_JMPREL, size(elf::DT_PLTRELSZ)),
            (elf::DT_RELR, size(elf::DT_RELRSZ)),
            (elf::DT_INIT_ARRAY, size(elf::DT_INIT_ARRAYSZ)),
            (elf::DT_FINI_ARRAY, size(elf::DT_FINI_ARRAYSZ)),
            (elf::DT_VERSYM, 2),
            (elf::DT_VERNEED, 16),
            (elf::DT_VERDEF, 20),
            (elf::DT_PLTGOT, 8),
        ];
        for (tag, bytes) in tables {
            if self.value(tag).is_some_and(|start| !self.image.has(start, bytes, 0)) {
                return Err("a table of its dynamic section lies in no segment");
            }
        }
        for tag in [elf::DT_INIT, elf::DT_FINI] {
            if self.value(tag).is_some_and(|start| !self.image.has(start, 1, elf::PF_X.0)) {
                return Err("a function of its dynamic section lies in no code");
            }
        }
        self.look_at_hash(data)?;
        self.look_at_relocations(data, elf::DT_RELA, elf::DT_RELASZ)?;
        self.look_at_relocations(data, elf::DT_JMPREL, elf::DT_PLTRELSZ)
    }

    /// The hash table by which the loader finds symbols: it divides by the number
    /// of buckets, and takes the bloom filter's size for a power of two.
    fn look_at_hash<'data, R: ReadRef<'data>>(&self, data: R) -> Found {
        let wrong = "its table of hashes is damaged";
        let Some(start) = self.value(elf::DT_GNU_HASH) else { return Ok(()) };
        let offset = self.image.offset(start, 16).ok_or(wrong)?;
        let header = data.read_bytes_at(offset, 16).map_err(|()| wrong)?;
        let word = |at: usize| {
            let bytes = header[at..at + 4].try_into().unwrap_or_default();
            u64::from(u32::from_le_bytes(bytes))
        };
        let (buckets, blooms, shift) = (word(0), word(8), word(12));
        let whole = 16 + 8 * blooms + 4 * buckets;
        let sane = buckets > 0 && blooms.is_power_of_two() && shift < 64;
        if sane && self.image.has(start, whole, 0) { Ok(()) } else { Err(wrong) }
    }

    /// Each relocation writes into a segment that can be written to, about a symbol
    /// whose name is there.
    fn look_at_relocations<'data, R: ReadRef<'data>>(
        &self,
        data: R,
        start: elf::DynamicTag,
        size: elf::DynamicTag,
    ) -> Found {
        let wrong = "its relocations are damaged";
        let endian = self.image.endian;
        let (Some(start), Some(size)) = (self.value(start), self.value(size)) else {
            return Ok(());
        };
        let offset = self.image.offset(start, size).ok_or(wrong)?;
        let count = usize::try_from(size / ENTRY).map_err(|_| wrong)?;
        let relocations: &[Rela64<Endianness>] =
            data.read_slice_at(offset, count).map_err(|()| wrong)?;
        let symbols = self.value(elf::DT_SYMTAB).unwrap_or(0);
        let strings = self.value(elf::DT_STRSZ).unwrap_or(0);
        for relocation in relocations {
            if !self.image.has(relocation.r_offset(endian), 8, elf::PF_W.0) {
                return Err(wrong);
            }
            let symbol = u64::from(relocation.r_sym(endian, false));
            let entry = symbols.saturating_add(ENTRY * symbol);
            let name =
                self.image.offset(entry, ENTRY).and_then(|at| data.read_bytes_at(at, 4).ok());
            let name = name.and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
            if symbol > 0 && name.is_none_or(|name| u64::from(name) >= strings) {
                return Err(wrong);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use super::look;

    /// What is found in the bytes.
    fn found(bytes: &[u8]) -> Result<(), &'static str> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        look(&file).unwrap()
    }

    #[test]
    fn what_is_cut_or_damaged_is_found() {
        // This test itself: a position-independent program is made like a library.
        let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(found(&whole), Ok(()));
        for length in [6, 63, 64, 100, 1000, 100_000] {
            assert!(found(&whole[..length]).is_err(), "the first {length} bytes");
        }
        // What is no library of this kind is its loader's business.
        for other in [b"".as_slice(), b"a text\n", b"\x7fELF\x01\x01\x01", b"#!/bin/sh\n"] {
            assert_eq!(found(other), Ok(()), "{other:?}");
        }
        // Offsets as in the System V ABI: the header's e_phoff and e_phnum, the first
        // segments' p_offset, p_vaddr and p_filesz.
        for at in [32 + 6, 56 + 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            assert!(found(&damaged).is_err(), "byte {at}");
        }
    }
}
