//! Frames between processes of one guest, through pipes and sockets that lose nothing: a little-endian `u32` length and that
//! many bytes.

/// A frame of these bytes. One that is too large for its length to be told has a reader that refuses it.
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes()[..], bytes].concat()
}

/// Takes the first frame out of what has been received, if it is whole.
///
/// # Errors
/// Its length, when that is more than `most`.
pub fn take(received: &mut Vec<u8>, most: usize) -> Result<Option<Vec<u8>>, usize> {
    let Some((length, rest)) = received.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > most {
        return Err(length);
    }
    let Some(frame) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
    received.drain(..4 + length);
    Ok(Some(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_and_in_order() {
        let both = [frame(b"abc"), frame(b"")].concat();
        let mut received = both[..5].to_vec();
        assert_eq!(take(&mut received, 3), Ok(None));
        received.extend_from_slice(&both[5..]);
        assert_eq!(take(&mut received, 3), Ok(Some(b"abc".to_vec())));
        assert_eq!(take(&mut received, 3), Ok(Some(Vec::new())));
        assert_eq!((take(&mut received, 3), received.len()), (Ok(None), 0));
    }

    #[test]
    fn a_length_beyond_the_most_is_refused() {
        assert_eq!(take(&mut frame(b"abcd"), 3), Err(4));
        assert_eq!(take(&mut vec![0xff; 8], 3), Err(u32::MAX as usize));
    }
}
