//! Profiles and what they make of messages.
