//! Entry points for fuzz targets. Not for direct use.

use crate::rt_app::RtApp;

/// Reads an rt-app file. What is taken is whole: each word that an event names is there.
pub fn rt_app(text: &str) {
    let Ok(app) = text.parse::<RtApp>() else { return };
    assert!(
        app.threads().next().is_some()
            && app.events().all(|event| event.words().into_iter().flatten().all(|word| word < app.words))
    );
}
