//! The grid of a sweep as a map of goodput: request size by connections.
//!
//! Must not know how the map is drawn.

use super::results::Results;
use crate::bench::measure::entry::Entry;

/// The median goodput of every cell of the grid.
pub(in crate::bench) struct HeatMap {
    pub(in crate::bench) chunks: Vec<u64>,
    pub(in crate::bench) connections: Vec<u32>,
    cells: Vec<(u64, u32, f64)>,
}

impl HeatMap {
    pub(in crate::bench) fn of(results: &Results) -> Self {
        let cells = results.rows.iter().filter_map(|row| match row.entry {
            Entry::Cell { chunk_bytes, connections } => {
                Some((chunk_bytes, connections, row.goodput?.median))
            }
            _ => None,
        });
        let cells: Vec<(u64, u32, f64)> = cells.collect();
        let mut chunks: Vec<u64> = cells.iter().map(|cell| cell.0).collect();
        let mut connections: Vec<u32> = cells.iter().map(|cell| cell.1).collect();
        chunks.sort_unstable();
        chunks.dedup();
        connections.sort_unstable();
        connections.dedup();
        Self { chunks, connections, cells }
    }

    /// One cell is no map.
    pub(in crate::bench) fn is_worth_showing(&self) -> bool {
        self.cells.len() > 1
    }

    /// Bytes per second of a cell; `None` where it was not measured or failed.
    pub(in crate::bench) fn rate(&self, chunk: u64, connections: u32) -> Option<f64> {
        let mut cells = self.cells.iter();
        cells.find(|cell| cell.0 == chunk && cell.1 == connections).map(|cell| cell.2)
    }

    pub(in crate::bench) fn best(&self) -> f64 {
        self.rates().fold(0.0, f64::max)
    }

    /// Bytes per second of all cells.
    pub(in crate::bench) fn rates(&self) -> impl Iterator<Item = f64> {
        self.cells.iter().map(|cell| cell.2)
    }
}
