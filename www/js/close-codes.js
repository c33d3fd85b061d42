// The close codes of RFC 6455, section 7.4, and of IANA's registry: name and meaning. The server
// reads this table, too (src/session/close_codes.rs); from the first brace to the last it is JSON.
export default {
  "1000": ["Normal Closure", "the connection has served its purpose"],
  "1001": ["Going Away", "one end is leaving, such as a server that stops or a page that was left"],
  "1002": ["Protocol Error", "a frame broke the WebSocket protocol"],
  "1003": ["Unsupported Data", "data of this type is not accepted"],
  "1005": ["No Status Received", "the Close had no code"],
  "1006": ["Abnormal Closure", "the connection ended without a closing handshake"],
  "1007": ["Invalid Frame Payload Data", "the data does not match its type, such as text that is not UTF-8"],
  "1008": ["Policy Violation", "a message broke a rule of this endpoint"],
  "1009": ["Message Too Big", "the message is larger than the receiver accepts"],
  "1010": ["Mandatory Extension", "the server did not agree on an extension that the client needs"],
  "1011": ["Internal Error", "an unexpected condition kept the server from going on"],
  "1012": ["Service Restart", "the service restarts, connect again"],
  "1013": ["Try Again Later", "the service is overloaded, connect again later"],
  "1014": ["Bad Gateway", "a gateway got an invalid response from the server behind it"],
  "1015": ["TLS Handshake", "the TLS handshake failed"],
  "3000": ["Unauthorized", "the client has to authenticate first"],
  "3003": ["Forbidden", "the client is not allowed to do this"],
  "3008": ["Timeout", "the client took too long"],
  "3xxx": ["Registered Code", "defined by a library or framework"],
  "4xxx": ["Private Use", "defined by the application"],
  "other": ["Unassigned", "no meaning is registered"]
};
