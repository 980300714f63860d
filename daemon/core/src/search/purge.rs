//! Forgets what no row has any more: after a deletion nothing of an event is left in memory.

use super::chunk::Chunk;
use super::column::Numbers;
use super::columns::Columns;

impl Columns {
    /// Overwrites and drops what only these rows had, and packs anew what has become sparse.
    pub(super) fn forget(&mut self, taken: &[Chunk]) {
        if taken.is_empty() {
            return;
        }
        let kept = &self.chunks;
        for text in orphans(self.texts.len(), taken, kept, |chunk| &chunk.text) {
            self.texts.forget(text);
        }
        for cwd in orphans(self.cwds.len(), taken, kept, |chunk| &chunk.cwd) {
            self.cwds.forget(cwd);
        }
        for tools in orphans(self.tools.len(), taken, kept, |chunk| &chunk.tools) {
            self.tools.forget(tools);
        }
        for assessment in orphans(self.assessments.len(), taken, kept, |chunk| &chunk.assessment) {
            self.assessments.forget(assessment);
        }
        for shell in orphans(self.shells.len(), taken, kept, |chunk| &chunk.shell) {
            self.shells.forget(shell);
        }
        self.compact();
    }

    fn compact(&mut self) {
        if self.texts.is_wasteful() {
            // Last use first: what is asked for most lies together.
            let used = self.chunks.iter().rev().flat_map(|chunk| chunk.text.iter().rev().copied());
            let renumbered = self.texts.compact(used);
            renumber(&mut self.chunks, &renumbered, |chunk| &mut chunk.text);
            self.generation += 1;
        }
        if self.cwds.is_wasteful() {
            let renumbered = self.cwds.compact(&used(self.cwds.len(), &self.chunks, |chunk| &chunk.cwd));
            renumber(&mut self.chunks, &renumbered, |chunk| &mut chunk.cwd);
        }
        if self.tools.is_wasteful() {
            let renumbered = self.tools.compact(&used(self.tools.len(), &self.chunks, |chunk| &chunk.tools));
            renumber(&mut self.chunks, &renumbered, |chunk| &mut chunk.tools);
        }
        if self.assessments.is_wasteful() {
            let is_used = used(self.assessments.len(), &self.chunks, |chunk| &chunk.assessment);
            let renumbered = self.assessments.compact(&is_used);
            renumber(&mut self.chunks, &renumbered, |chunk| &mut chunk.assessment);
        }
    }
}

/// Returns the numbers that a column of the taken rows has and that of the kept ones has not.
fn orphans<C: Numbers>(
    numbers: usize,
    taken: &[Chunk],
    kept: &[Chunk],
    column: impl Fn(&Chunk) -> &C,
) -> Vec<u32> {
    let mut is_orphan = used(numbers, taken, &column);
    for chunk in kept {
        column(chunk).each(|number| is_orphan[number as usize] = false);
    }
    (0..numbers as u32).filter(|number| is_orphan[*number as usize]).collect()
}

/// Tells for each number whether a column has it.
fn used<C: Numbers>(numbers: usize, chunks: &[Chunk], column: impl Fn(&Chunk) -> &C) -> Vec<bool> {
    let mut is_used = vec![false; numbers];
    for chunk in chunks {
        column(chunk).each(|number| is_used[number as usize] = true);
    }
    is_used
}

fn renumber<C: Numbers>(chunks: &mut [Chunk], renumbered: &[u32], column: impl Fn(&mut Chunk) -> &mut C) {
    for chunk in chunks {
        column(chunk).renumber(|number| renumbered[number as usize]);
    }
}
