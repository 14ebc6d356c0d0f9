//! What of the un-synced is on the medium when the power goes.

use super::medium::{Medium, SECTOR_BYTES};
use crate::chance::Chance;
use crate::sometimes::{Sometimes, note};

/// Bytes at the start of a sector that are torn more often than others.
const HEAD_BYTES: usize = 96;

/// Who decides about each un-synced sector, size and name.
#[derive(Debug, Clone)]
pub enum Survival {
    /// The seed, by a style that it draws first.
    Chance(Chance),
    /// A set of bits, one for each: whole or not at all. More than 64 begin again.
    Bits(u64),
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
enum Style {
    Nothing,
    Everything,
    Half,
    Few,
    Most,
    /// Every second sector is torn.
    Torn,
}

/// What becomes of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Dropped,
    Kept,
    /// Its first bytes are new, the others old.
    Torn(usize),
}

impl Survival {
    fn fate(&mut self, number: usize, style: Style) -> Fate {
        let chance = match self {
            Survival::Bits(bits) => {
                let is_kept = *bits >> (number % 64) & 1 == 1;
                return if is_kept { Fate::Kept } else { Fate::Dropped };
            }
            Survival::Chance(chance) => chance,
        };
        let is_kept = match style {
            Style::Nothing => false,
            Style::Everything => true,
            Style::Half | Style::Torn => chance.one_in(2),
            Style::Few => chance.one_in(8),
            Style::Most => !chance.one_in(8),
        };
        let torn_one_in = match style {
            Style::Nothing | Style::Everything | Style::Few => 0,
            Style::Half | Style::Most => 8,
            Style::Torn => 2,
        };
        if chance.one_in(torn_one_in) {
            // Headers and marks stand at the start of a sector: there it hurts most.
            let reach = chance.pick(&[HEAD_BYTES, SECTOR_BYTES]);
            return Fate::Torn(chance.index(reach));
        }
        if is_kept { Fate::Kept } else { Fate::Dropped }
    }

    fn style(&mut self) -> Style {
        match self {
            Survival::Bits(_) => Style::Half,
            Survival::Chance(chance) => chance.pick(&[
                Style::Nothing,
                Style::Everything,
                Style::Half,
                Style::Half,
                Style::Few,
                Style::Most,
                Style::Torn,
            ]),
        }
    }
}

impl Medium {
    /// How many things have a fate of their own.
    pub(crate) fn pending(&self) -> usize {
        let files = self.files().map(|id| {
            let file = self.file(id);
            file.dirty.len() + usize::from(file.is_size_dirty)
        });
        self.changes.len() + files.sum::<usize>()
    }

    /// The power goes, and comes back.
    pub(crate) fn cut(&mut self, mut survival: Survival) {
        let mut number = 0;
        // Names and bytes reach a medium by different ways: what is true of one says nothing of the
        // other.
        let style = survival.style();
        for change in std::mem::take(&mut self.changes) {
            match survival.fate(number, style) {
                Fate::Kept | Fate::Torn(_) => self.make_last(&change),
                Fate::Dropped => note(Sometimes::NameLost),
            }
            number += 1;
        }
        let style = survival.style();
        for id in self.files() {
            number = self.cut_file(id, number, style, &mut survival);
        }
        self.reset();
    }

    fn cut_file(
        &mut self,
        id: super::medium::FileId,
        mut number: usize,
        style: Style,
        survival: &mut Survival,
    ) -> usize {
        let file = self.file_mut(id);
        if file.is_size_dirty {
            if survival.fate(number, style) != Fate::Dropped {
                file.write_size();
            }
            number += 1;
        }
        let mut has_dropped = false;
        for sector in std::mem::take(&mut file.dirty) {
            match survival.fate(number, style) {
                Fate::Dropped => has_dropped = true,
                Fate::Kept => {
                    file.write_sector(sector, SECTOR_BYTES);
                    if has_dropped {
                        note(Sometimes::SectorsReordered);
                    }
                }
                Fate::Torn(count) => {
                    file.write_sector(sector, count);
                    note(Sometimes::SectorTorn);
                }
            }
            number += 1;
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium() -> (Medium, super::super::medium::FileId) {
        let mut medium = Medium::default();
        let id = medium.make_file("a");
        medium.file_mut(id).resize(4 * SECTOR_BYTES);
        medium.file_mut(id).sync();
        medium.sync_dir("");
        (medium, id)
    }

    #[test]
    fn each_subset_of_sectors_can_survive() {
        for bits in 0..16u64 {
            let (mut medium, id) = medium();
            medium.file_mut(id).write(&[1; 4 * SECTOR_BYTES], 0);
            assert_eq!(medium.pending(), 4);
            medium.cut(Survival::Bits(bits));
            for sector in 0..4 {
                let byte = medium.file(id).cache[sector * SECTOR_BYTES];
                assert_eq!(u64::from(byte), bits >> sector & 1);
            }
        }
    }

    #[test]
    fn size_and_data_survive_independently() {
        for bits in 0..4u64 {
            let (mut medium, id) = medium();
            medium
                .file_mut(id)
                .write(&[1; SECTOR_BYTES], 4 * SECTOR_BYTES);
            medium.cut(Survival::Bits(bits));
            let file = &medium.file(id).cache;
            match bits {
                0 | 2 => assert_eq!(file.len(), 4 * SECTOR_BYTES),
                1 => assert_eq!(file[4 * SECTOR_BYTES..], [0; SECTOR_BYTES]),
                _ => assert_eq!(file[4 * SECTOR_BYTES..], [1; SECTOR_BYTES]),
            }
        }
    }

    #[test]
    fn some_seed_tears_a_sector() {
        let torn = (0..200).any(|seed| {
            let (mut medium, id) = medium();
            medium.file_mut(id).write(&[1; SECTOR_BYTES], 0);
            medium.cut(Survival::Chance(Chance::new(seed, "survival")));
            let sector = &medium.file(id).cache[..SECTOR_BYTES];
            sector.contains(&1) && sector.contains(&0)
        });
        assert!(torn);
    }
}
