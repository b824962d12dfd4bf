//! Generated messages, conversions to and from the domain types, names of keys and subjects.
