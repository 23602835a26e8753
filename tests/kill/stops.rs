//! SIGTERM, and starts that are refused.
