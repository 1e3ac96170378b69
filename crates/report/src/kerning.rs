//! Pair kerning from a font's GPOS table. The embedded fonts have no `kern` table, the only one `ab_glyph` reads.

use ttf_parser::gpos::{PairAdjustment, PositioningSubtable};
use ttf_parser::{Face, GlyphId, Tag};

/// The pair adjustments of a font's `kern` feature, lookup by lookup.
pub(crate) struct Kerning<'a> {
    lookups: Vec<Vec<PairAdjustment<'a>>>,
}

impl<'a> Kerning<'a> {
    /// Gathers the adjustments; a font without any has none.
    pub(crate) fn of(face: &Face<'a>) -> Self {
        let Some(table) = face.tables().gpos else { return Kerning { lookups: Vec::new() } };
        let mut indices: Vec<u16> = table
            .features
            .into_iter()
            .filter(|feature| feature.tag == Tag::from_bytes(b"kern"))
            .flat_map(|feature| feature.lookup_indices)
            .collect();
        // Scripts share lookups; each counts once.
        indices.sort_unstable();
        indices.dedup();
        let lookups = indices
            .into_iter()
            .filter_map(|index| table.lookups.get(index))
            .map(|lookup| {
                let subtables = lookup.subtables.into_iter::<PositioningSubtable<'a>>();
                subtables
                    .filter_map(|subtable| match subtable {
                        PositioningSubtable::Pair(pair) => Some(pair),
                        _ => None,
                    })
                    .collect()
            })
            .collect();
        Kerning { lookups }
    }

    /// By how many font units `right` moves towards (negative) or away from `left`.
    pub(crate) fn between(&self, left: u16, right: u16) -> i32 {
        let (left, right) = (GlyphId(left), GlyphId(right));
        self.lookups
            .iter()
            .filter_map(|lookup| lookup.iter().find_map(|pair| adjustment(pair, left, right)))
            .map(i32::from)
            .sum()
    }
}

/// What one subtable says of a pair; `None` passes the question on to the next one.
fn adjustment(pair: &PairAdjustment<'_>, left: GlyphId, right: GlyphId) -> Option<i16> {
    let covered = pair.coverage().get(left)?;
    let (first, _) = match pair {
        PairAdjustment::Format1 { sets, .. } => sets.get(covered)?.get(right)?,
        PairAdjustment::Format2 { classes, matrix, .. } => {
            matrix.get((classes.0.get(left), classes.1.get(right)))?
        }
    };
    Some(first.x_advance)
}
