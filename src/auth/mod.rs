//! Who a caller is: passwords, login tokens, and remembering what was just verified.

pub mod authenticator;
pub mod password;
pub mod secret;
pub mod token;
pub mod users;
