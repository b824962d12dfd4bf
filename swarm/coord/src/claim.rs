//! Precedence of two robots.
//!
//! The order, the first difference decides:
//!
//! 1. of two claims with the same claimant, the claimant itself, then the smaller id;
//! 2. a cornered robot before one that can make way;
//! 3. a robot with somewhere to go before one without;
//! 4. an emergency, 5. a payload, 6. the greater mission priority, 7. the longer wait, 8. the smaller id.

use skein_types::coord::{Intent, RightOfWay};
use skein_types::ids::AgentId;

use crate::guidance::PrecedenceReason;

/// What one side of an encounter brings to the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The robot that publishes the claim.
    pub sender: AgentId,
    /// It cannot make way.
    pub cornered: bool,
    /// It has somewhere to go.
    pub wants: bool,
    /// Its own right of way or the one it inherited.
    pub right_of_way: RightOfWay,
}

/// Result of a comparison, as seen from the first of the two claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// The first claim wins.
    First(PrecedenceReason),
    /// The other claim wins.
    Second(PrecedenceReason),
}

impl Claim {
    /// Claim in a peer's intent; `wants` is whether its path leads anywhere.
    #[must_use]
    pub fn of(intent: &Intent, wants: bool) -> Self {
        Self {
            sender: intent.sender.clone(),
            cornered: intent.cornered,
            wants,
            right_of_way: intent.right_of_way.clone(),
        }
    }

    /// The claim of `self` while it makes way for `other`: that of `other`, under its own name.
    #[must_use]
    pub fn inherited_from(&self, other: &Self) -> Self {
        Self { sender: self.sender.clone(), wants: true, ..other.clone() }
    }

    /// Compares two claims of different robots; never a draw.
    #[must_use]
    pub fn against(&self, other: &Self) -> Precedence {
        let (mine, theirs) = (&self.right_of_way, &other.right_of_way);
        if mine.claimant == theirs.claimant {
            let origin = |claim: &Self| claim.sender == claim.right_of_way.claimant;
            let first = match (origin(self), origin(other)) {
                (true, false) => true,
                (false, true) => false,
                (true, true) | (false, false) => self.sender < other.sender,
            };
            return Precedence::from(first, PrecedenceReason::Behalf);
        }
        let first_difference = [
            (self.cornered.cmp(&other.cornered), PrecedenceReason::Cornered),
            (self.wants.cmp(&other.wants), PrecedenceReason::Wants),
            (mine.emergency.cmp(&theirs.emergency), PrecedenceReason::Emergency),
            (mine.carrying.cmp(&theirs.carrying), PrecedenceReason::Carrying),
            (mine.priority.cmp(&theirs.priority), PrecedenceReason::Priority),
            (waited(mine).cmp(&waited(theirs)), PrecedenceReason::Waited),
        ]
        .into_iter()
        .find(|(order, _)| order.is_ne());
        match first_difference {
            Some((order, reason)) => Precedence::from(order.is_gt(), reason),
            None => Precedence::from(mine.claimant < theirs.claimant, PrecedenceReason::Id),
        }
    }

    /// Whether `self` goes before `other`.
    #[must_use]
    pub fn beats(&self, other: &Self) -> bool {
        matches!(self.against(other), Precedence::First(_))
    }

    /// Whether a difference that does not come from waiting or from the id puts `self` before `other`.
    #[must_use]
    pub fn clearly_beats(&self, other: &Self) -> bool {
        matches!(self.against(other), Precedence::First(reason) if !matches!(reason, PrecedenceReason::Waited | PrecedenceReason::Id | PrecedenceReason::Behalf))
    }
}

/// Waiting counts in steps that double: 10 s, 30 s, 70 s, 150 s. Robots that stand in the same jam have waited about
/// equally long; if every step of five seconds counted, their order would change faster
/// than they can pass each other, and none would get through.
fn waited(claim: &RightOfWay) -> u32 {
    (claim.waited_steps / 2 + 1).ilog2()
}

impl Precedence {
    fn from(first: bool, reason: PrecedenceReason) -> Self {
        if first { Self::First(reason) } else { Self::Second(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skein_types::mission::Priority;

    fn claim(name: &str) -> Claim {
        let sender = AgentId::new(name).unwrap();
        let right_of_way = RightOfWay::ordinary(sender.clone());
        Claim { sender, cornered: false, wants: true, right_of_way }
    }

    #[test]
    fn each_reason_outweighs_all_that_follow_it() {
        type Raise = fn(&mut Claim);
        let reasons: [(PrecedenceReason, Raise); 6] = [
            (PrecedenceReason::Cornered, |c| c.cornered = true),
            (PrecedenceReason::Wants, |_| ()),
            (PrecedenceReason::Emergency, |c| c.right_of_way.emergency = true),
            (PrecedenceReason::Carrying, |c| c.right_of_way.carrying = true),
            (PrecedenceReason::Priority, |c| c.right_of_way.priority = Priority::new(9).unwrap()),
            (PrecedenceReason::Waited, |c| c.right_of_way.waited_steps = 3),
        ];
        for (i, (reason, raise)) in reasons.iter().enumerate() {
            let (mut strong, mut weak) = (claim("b"), claim("a"));
            raise(&mut strong);
            if *reason == PrecedenceReason::Wants {
                weak.wants = false;
            }
            reasons.iter().skip(i + 1).for_each(|(_, raise)| raise(&mut weak));
            assert_eq!(strong.against(&weak), Precedence::First(*reason));
            assert_eq!(weak.against(&strong), Precedence::Second(*reason));
        }
        assert_eq!(claim("a").against(&claim("b")), Precedence::First(PrecedenceReason::Id));
    }

    #[test]
    fn an_inherited_claim_ranks_right_behind_its_claimant() {
        let (mut strong, weak, third) = (claim("z"), claim("m"), claim("a"));
        strong.right_of_way.carrying = true;
        let pushed = weak.inherited_from(&strong);
        assert!(strong.beats(&pushed));
        assert!(pushed.beats(&third));
        let stale = Claim { right_of_way: RightOfWay { waited_steps: 7, ..pushed.right_of_way.clone() }, ..pushed };
        assert!(strong.beats(&stale), "an old copy of a claim does not outrank its owner");
    }

    fn any_claim(name: &'static str) -> impl Strategy<Value = Claim> {
        (any::<[bool; 4]>(), 1_u32..=3, 0_u16..3, prop::sample::select(vec!["a", "b", "c", "w"])).prop_map(
            move |([cornered, wants, emergency, carrying], priority, waited_steps, claimant)| {
                let priority = Priority::new(priority).unwrap();
                let claimant = AgentId::new(claimant).unwrap();
                let right_of_way = RightOfWay { emergency, carrying, priority, waited_steps, claimant };
                Claim { sender: AgentId::new(name).unwrap(), cornered, wants, right_of_way }
            },
        )
    }

    proptest! {
        #[test]
        fn of_two_claims_exactly_one_goes_first(a in any_claim("a"), b in any_claim("b")) {
            prop_assert!(a.beats(&b) != b.beats(&a));
        }
    }
}
