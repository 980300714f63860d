//! The drawing in ARCHITECTURE.md and the manifests say the same.
