//! The corpora of the fuzz targets (`fuzz/corpus`), replayed as tests.

use std::path::Path;

/// Gives every file of a target's corpus to it.
pub(crate) fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the target has a corpus") {
        let data = std::fs::read(entry.expect("the folder can be read").path()).expect("a file of the corpus");
        run(&data);
        count += 1;
    }
    assert!(count > 0, "an empty corpus shows nothing");
}
