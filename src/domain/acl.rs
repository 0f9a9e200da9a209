//! Who may do what (devpi's permissions, `server-api` section 7).

use std::sync::Arc;

use super::index_config::{ANONYMOUS, AUTHENTICATED, IndexConfig};

/// The name of the user who may do everything in the default mode.
pub const ROOT: &str = "root";

/// Who asks for something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    user: Option<Arc<str>>,
    groups: Vec<Arc<str>>,
}

impl Caller {
    /// Somebody without valid credentials.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// An authenticated user with its groups.
    pub fn user(user: impl Into<Arc<str>>, groups: Vec<Arc<str>>) -> Self {
        Self { user: Some(user.into()), groups }
    }

    /// The user name; `None` for anonymous callers.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.user.as_ref()
    }

    /// The groups, without the leading colon that they have in access lists.
    pub fn groups(&self) -> &[Arc<str>] {
        &self.groups
    }

    fn is(&self, user: &str) -> bool {
        self.user.as_deref() == Some(user)
    }

    /// Whether an entry of an access list means this caller.
    fn matches(&self, principal: &str) -> bool {
        match principal.strip_prefix(':') {
            _ if principal == ANONYMOUS => true,
            _ if principal == AUTHENTICATED => self.user.is_some(),
            Some(group) => self.groups.iter().any(|member| **member == *group),
            None => self.is(principal),
        }
    }

    fn is_among<'a>(&self, principals: impl IntoIterator<Item = &'a str>) -> bool {
        principals.into_iter().any(|principal| self.matches(principal))
    }
}

/// The permissions that depend on how the server is run.
#[derive(Clone, Debug, Default)]
pub struct AccessPolicy {
    /// With `--restrict-modify`: the only principals who may change users and indexes.
    pub restrict_modify: Option<Vec<String>>,
}

impl AccessPolicy {
    /// Whether the caller may create users.
    pub fn may_create_user(&self, caller: &Caller) -> bool {
        self.restricted(caller).unwrap_or(true)
    }

    /// Whether the caller may change anything about `user`.
    pub fn may_modify_user(&self, caller: &Caller, user: &str) -> bool {
        self.restricted(caller).unwrap_or_else(|| owns(caller, user))
    }

    /// Whether the caller may change the password of `user`.
    pub fn may_modify_password(&self, caller: &Caller, user: &str) -> bool {
        caller.is(user) || self.may_modify_user(caller, user)
    }

    /// Whether the caller may delete `user`. Nobody may delete root; and who may because of being listed by name may
    /// not delete itself.
    pub fn may_delete_user(&self, caller: &Caller, user: &str) -> bool {
        match &self.restrict_modify {
            None => user != ROOT && owns(caller, user),
            Some(listed) => caller.is_among(listed.iter().map(String::as_str).filter(|name| *name != user)),
        }
    }

    /// Whether the caller may create, modify or delete indexes of `owner`.
    pub fn may_change_indexes(&self, caller: &Caller, owner: &str) -> bool {
        self.restricted(caller).unwrap_or_else(|| owns(caller, owner))
    }

    /// Whether the caller may upload to an index. Root may only where it is listed.
    pub fn may_upload(&self, caller: &Caller, config: &IndexConfig) -> bool {
        !config.is_of_unknown_type() && caller.is_among(config.acl_upload())
    }

    /// Whether the caller may upload test results to an index.
    pub fn may_upload_test_results(&self, caller: &Caller, config: &IndexConfig) -> bool {
        !config.is_of_unknown_type()
            && config.acl_toxresult_upload().is_none_or(|listed| caller.is_among(listed))
    }

    /// Whether the caller may delete projects, releases and files of an index of `owner`.
    pub fn may_delete_content(&self, caller: &Caller, owner: &str, config: &IndexConfig) -> bool {
        !config.is_of_unknown_type()
            && (self.may_upload(caller, config) || self.may_change_indexes(caller, owner))
    }

    /// Under `--restrict-modify`: whether the caller is listed. `None` in the default mode.
    fn restricted(&self, caller: &Caller) -> Option<bool> {
        self.restrict_modify.as_ref().map(|listed| caller.is_among(listed.iter().map(String::as_str)))
    }
}

fn owns(caller: &Caller, user: &str) -> bool {
    caller.is(user) || caller.is(ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn callers() -> [(&'static str, Caller); 5] {
        [
            ("anonymous", Caller::anonymous()),
            ("alice", Caller::user("alice", vec![])),
            ("bob", Caller::user("bob", vec![])),
            ("grouped", Caller::user("carl", vec!["ops".into()])),
            ("root", Caller::user("root", vec![])),
        ]
    }

    fn allowed(question: impl Fn(&Caller) -> bool) -> Vec<&'static str> {
        callers().into_iter().filter(|(_, caller)| question(caller)).map(|(name, _)| name).collect()
    }

    fn config(acl_upload: serde_json::Value) -> IndexConfig {
        IndexConfig::from_settings(json!({"acl_upload": acl_upload}).as_object().cloned().unwrap())
    }

    #[test]
    fn by_default_owner_and_root_rule() {
        let policy = AccessPolicy::default();
        let everybody = ["anonymous", "alice", "bob", "grouped", "root"];
        assert_eq!(allowed(|caller| policy.may_create_user(caller)), everybody);
        assert_eq!(allowed(|caller| policy.may_modify_user(caller, "alice")), ["alice", "root"]);
        assert_eq!(allowed(|caller| policy.may_modify_password(caller, "alice")), ["alice", "root"]);
        assert_eq!(allowed(|caller| policy.may_delete_user(caller, "alice")), ["alice", "root"]);
        assert!(allowed(|caller| policy.may_delete_user(caller, "root")).is_empty());
        assert_eq!(allowed(|caller| policy.may_change_indexes(caller, "alice")), ["alice", "root"]);
    }

    #[test]
    fn restricted_only_the_listed_may_change_users_and_indexes() {
        let policy = AccessPolicy { restrict_modify: Some(vec!["bob".into(), ":ops".into()]) };
        let listed = ["bob", "grouped"];
        assert_eq!(allowed(|caller| policy.may_create_user(caller)), listed);
        assert_eq!(allowed(|caller| policy.may_modify_user(caller, "alice")), listed);
        assert_eq!(
            allowed(|caller| policy.may_modify_password(caller, "alice")),
            ["alice", "bob", "grouped"]
        );
        assert_eq!(allowed(|caller| policy.may_delete_user(caller, "alice")), listed);
        assert_eq!(allowed(|caller| policy.may_delete_user(caller, "bob")), ["grouped"]);
        assert_eq!(allowed(|caller| policy.may_change_indexes(caller, "alice")), listed);
        let deleting =
            allowed(|caller| policy.may_delete_content(caller, "alice", &config(json!(["alice"]))));
        assert_eq!(deleting, ["alice", "bob", "grouped"]);
    }

    #[test]
    fn uploads_follow_the_access_list() {
        let policy = AccessPolicy::default();
        for (list, expected) in [
            (json!(["alice"]), vec!["alice"]),
            (json!([]), vec![]),
            (json!([":ops", "bob"]), vec!["bob", "grouped"]),
            (json!([":AUTHENTICATED:"]), vec!["alice", "bob", "grouped", "root"]),
            (json!([":ANONYMOUS:"]), vec!["anonymous", "alice", "bob", "grouped", "root"]),
        ] {
            assert_eq!(
                allowed(|caller| policy.may_upload(caller, &config(list.clone()))),
                expected,
                "{list}"
            );
        }
        let deleting = allowed(|caller| policy.may_delete_content(caller, "alice", &config(json!([]))));
        assert_eq!(deleting, ["alice", "root"]);
    }

    #[test]
    fn what_only_a_plugin_knows_is_read_only() {
        let policy = AccessPolicy::default();
        let settings = json!({"type": "weird", "acl_upload": [":ANONYMOUS:"]});
        let config = IndexConfig::from_settings(settings.as_object().cloned().unwrap());
        assert!(allowed(|caller| policy.may_upload(caller, &config)).is_empty());
        assert!(allowed(|caller| policy.may_upload_test_results(caller, &config)).is_empty());
        assert!(allowed(|caller| policy.may_delete_content(caller, "alice", &config)).is_empty());
    }
}
