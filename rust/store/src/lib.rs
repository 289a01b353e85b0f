//! Where a Polygon Edge chain lives.
