//! A growing table in copy-on-write pages: a snapshot holds the pages, not a copy of what is in them.

use std::sync::Arc;

use smallvec::SmallVec;

/// A page is copied when something in it changes and a snapshot still holds it. A record may change hundreds of subjects,
/// each in a page of its own, so pages are small.
const PAGE: usize = 16;

#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The items stand in the same block as the count of who holds it: one step less to each of them.
    pages: Vec<Arc<SmallVec<[T; PAGE]>>>,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new() }
    }
}

impl<T: Clone> Paged<T> {
    pub fn len(&self) -> usize {
        self.pages.last().map_or(0, |last| (self.pages.len() - 1) * PAGE + last.len())
    }

    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub fn push(&mut self, item: T) -> u32 {
        let ix = self.len();
        if ix.is_multiple_of(PAGE) {
            self.pages.push(Arc::new(SmallVec::new()));
        }
        let page = self.pages.last_mut().expect("a page was just made if none was there");
        Arc::make_mut(page).push(item);
        u32::try_from(ix).expect("tables are bounded far below 2^32")
    }

    pub fn get(&self, ix: u32) -> &T {
        let ix = ix as usize;
        &self.pages[ix / PAGE][ix % PAGE]
    }

    /// Who else holds the page: nothing but a part of what `get_mut` reads of it.
    pub fn holders(&self, ix: u32) -> usize {
        Arc::strong_count(&self.pages[ix as usize / PAGE])
    }

    /// Copies the page first if a snapshot still holds it.
    pub fn get_mut(&mut self, ix: u32) -> &mut T {
        let ix = ix as usize;
        &mut Arc::make_mut(&mut self.pages[ix / PAGE])[ix % PAGE]
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.pages.iter().flat_map(|page| page.iter())
    }

    /// Shows every item and lets go of each page behind it: what has been seen needs no copy any more when it changes.
    pub fn drain(self, mut show: impl FnMut(&T)) {
        for page in self.pages {
            page.iter().for_each(&mut show);
        }
    }
}

impl<T: Clone> FromIterator<T> for Paged<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut paged = Self::default();
        for item in items {
            paged.push(item);
        }
        paged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_saw() {
        let mut table: Paged<u32> = (0..200).collect();
        let before = table.clone();
        *table.get_mut(130) = 7;
        table.push(200);
        assert_eq!((before.len(), *before.get(130)), (200, 130));
        assert_eq!((table.len(), *table.get(130), *table.get(200)), (201, 7, 200));
        assert!(Arc::ptr_eq(&before.pages[0], &table.pages[0]), "untouched pages are shared");
        assert!(table.iter().copied().filter(|n| *n != 7).eq((0..=200).filter(|n| *n != 130 && *n != 7)));
    }

    /// Flow: a copy of a table is drained.
    /// Asserts: everything is shown once, in order, and while an item is shown no page before it is held any more.
    #[test]
    fn what_has_been_drained_is_let_go_of() {
        let items: Vec<Arc<usize>> = (0..5 * PAGE + 3).map(Arc::new).collect();
        let table: Paged<Arc<usize>> = items.iter().cloned().collect();
        let mut shown = 0;
        table.drain(|item| {
            assert_eq!(**item, shown);
            let page = shown / PAGE * PAGE;
            assert!(items[..page].iter().all(|before| Arc::strong_count(before) == 1), "at {shown}");
            assert_eq!(Arc::strong_count(&items[shown]), 2);
            shown += 1;
        });
        assert_eq!(shown, items.len());
    }
}
