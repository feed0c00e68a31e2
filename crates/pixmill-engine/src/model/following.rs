//! Who follows whom: of equal inputs the first is worked, and the others end with it.

use std::collections::HashMap;
use std::hash::Hash;

use crate::model::source::equal_inputs;

/// The first image of each input, told by fingerprint and judged by [`equal_inputs`].
#[derive(Debug)]
pub struct Leads<P, S>(HashMap<i64, (P, S)>);

impl<P, S> Default for Leads<P, S> {
    fn default() -> Self {
        Leads(HashMap::new())
    }
}

impl<P: Copy + PartialEq, S: AsRef<str>> Leads<P, S> {
    /// The image that the one at this place follows; `None` where it is worked itself. Unequal inputs with the same
    /// fingerprint are worked each on its own.
    pub fn lead_of(&mut self, place: P, fingerprint: i64, input: S) -> Option<P> {
        match self.0.get(&fingerprint) {
            Some((lead, its_input)) => {
                (*lead != place && equal_inputs(its_input.as_ref(), input.as_ref())).then_some(*lead)
            }
            None => {
                self.0.insert(fingerprint, (place, input));
                None
            }
        }
    }
}

/// What followed an image whose input was corrected has the old input still: of these, told in the order of the
/// catalogue, the first leads the others.
#[derive(Debug)]
pub struct Heirs<L, P>(HashMap<L, P>);

impl<L, P> Default for Heirs<L, P> {
    fn default() -> Self {
        Heirs(HashMap::new())
    }
}

impl<L: Eq + Hash, P: Copy + PartialEq> Heirs<L, P> {
    /// The image that the one at this place follows from now on, which followed `lead`; `None` for the heir itself.
    pub fn lead_of(&mut self, lead: L, place: P) -> Option<P> {
        let heir = *self.0.entry(lead).or_insert(place);
        (heir != place).then_some(heir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_inputs_leads() {
        let mut leads = Leads::default();
        assert_eq!(leads.lead_of(0, 7, "http://h/a"), None);
        assert_eq!(leads.lead_of(1, 8, "http://h/b"), None);
        assert_eq!(leads.lead_of(2, 7, "HTTP://H:80/a#x"), Some(0));
        assert_eq!(leads.lead_of(3, 7, "http://h/c"), None, "the fingerprint alone makes nothing equal");
        assert_eq!(leads.lead_of(0, 7, "http://h/a"), None, "nothing follows itself");
    }

    #[test]
    fn the_first_follower_of_a_corrected_image_leads_the_others() {
        let mut heirs = Heirs::default();
        let told: Vec<_> =
            [("a", 3), ("b", 4), ("a", 5), ("a", 6)].map(|(lead, own)| heirs.lead_of(lead, own)).into();
        assert_eq!(told, [None, None, Some(3), Some(3)]);
    }
}
