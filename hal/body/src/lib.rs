//! The contract of a robot's body, the envelope nothing goes around, and the conformance suite.
