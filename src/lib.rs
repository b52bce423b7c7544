//! webwire's native core: the network half of WebSocket, WebTransport and RTCPeerConnection.
//!
//! A folder is one Web API; a file at this level serves all three.
