//! Bounds: every queue, cache, body and wait has one.

use std::time::Duration;

use clap::Args;

use crate::archive;
use crate::auth::authenticator::AuthLimits;
use crate::domain::RegistryLimits;
use crate::http::{FileCacheLimits, HttpLimits, PieceMemory};
use crate::mirror::MirrorLimits;
use crate::publish::PublishLimits;
use crate::storage::fs::DirectoryLimits;
use crate::storage::sqlite::SqliteLimits;

/// How many descriptors are for other things than connections and stored files.
const RESERVED_DESCRIPTORS: usize = 192;

/// Bounds: every queue, cache, body and wait has one.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// Largest request body, and so the largest file, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1_073_741_824)]
    pub max_request_body_size: u64,
    /// Largest JSON body, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144)]
    pub max_json_body_size: usize,
    /// Most bases of an index.
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub max_index_bases: usize,
    /// Longest settings of an index or of a user, in bytes of JSON, or 16 for each value if that is more.
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    pub max_index_settings_size: usize,
    /// Largest result of a test run, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 67_108_864)]
    pub max_tox_result_size: u64,
    /// Most results of test runs that a release file may have.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub max_tox_results: usize,
    /// Most fields in an upload form.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    pub max_form_fields: usize,
    /// Longest field in an upload form, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 8_388_608)]
    pub max_form_field_size: usize,
    /// Longest upload form without its file, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 16_777_216)]
    pub max_form_size: usize,
    /// How much of a refused body is still read, so that the client sees the refusal, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 67_108_864)]
    pub drained_body_size: u64,
    /// Most members of an uploaded archive that is looked into.
    #[arg(long, value_name = "COUNT", default_value_t = archive::Limits::default().members)]
    pub max_archive_members: usize,
    /// Largest core metadata file in a wheel, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = archive::Limits::default().metadata_bytes)]
    pub max_core_metadata_size: u64,
    /// Memory for rendered pages, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 67_108_864)]
    pub page_cache_size: u64,
    /// Memory for core metadata files, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 33_554_432)]
    pub core_metadata_cache_size: u64,
    /// Memory for contents of small files, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 33_554_432)]
    pub small_file_cache_size: u64,
    /// The largest of these, in bytes; 0 for none.
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    pub max_small_file_size: u64,
    /// How many links to files are remembered.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub file_cache_items: usize,
    /// How many users are remembered.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub user_cache_items: usize,
    /// How many verified passwords are remembered.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    pub password_cache_items: usize,
    /// How long a verified password is remembered, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub password_cache_time: u64,
    /// How many passwords are verified at once; each takes 64 MiB of memory.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub parallel_passwords: usize,
    /// How many requests read the database at once.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub database_readers: usize,
    /// How many changes may wait for the database.
    #[arg(long, value_name = "COUNT", default_value_t = 1024)]
    pub pending_changes: usize,
    /// How many changes share one sync of the database at the most.
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    pub group_commit: usize,
    /// How often a change is tried again when others were faster.
    #[arg(long, value_name = "COUNT", default_value_t = 200)]
    pub commit_attempts: usize,
    /// How much of an arriving file is written to disk at once, in bytes; as much again is received meanwhile. Of up to 16
    /// uploads that have become longer than 1 MiB it is as much as that.
    #[arg(long, value_name = "BYTES", default_value_t = 65_536)]
    pub upload_buffer_size: usize,
    /// How much of a file is read and sent at once at the most, in bytes, while it is fetched for a mirror or pushed.
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u64).range(1..))]
    pub download_piece_size: u64,
    /// Memory for files that are sent while they are fetched, in bytes: with many clients less is read at once for each.
    #[arg(long, value_name = "BYTES", default_value_t = 8_388_608)]
    pub download_memory: u64,
    /// How many uploads are stored at once, once they have arrived; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    pub parallel_uploads: usize,
    /// How many files of large projects are kept in order in memory, about 400 bytes each.
    #[arg(long, value_name = "COUNT", default_value_t = 50_000)]
    pub large_project_files: u64,
    /// How many pages and small documents are asked for at one upstream at once.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    pub parallel_upstream_pages: usize,
    /// How many files are fetched from one upstream at once.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    pub parallel_upstream_files: usize,
    /// How many projects of one upstream may be asked for, or wait for that, at once.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    pub pending_upstream_pages: usize,
    /// Largest page of a project at an upstream, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 33_554_432)]
    pub max_upstream_page_size: usize,
    /// Largest list of all projects of an upstream, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 268_435_456)]
    pub max_upstream_list_size: usize,
    /// Largest file of an upstream, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 17_179_869_184)]
    pub max_upstream_file_size: u64,
    /// How long an upstream may take for a page when nobody waits any more, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub upstream_page_timeout: u64,
    /// How long at the most a failed request to an upstream is not repeated, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub upstream_retry_pause: u64,
    /// After how many failures in a row to reach it an upstream is left alone for a while; 0 for never.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub upstream_breaker_failures: u32,
    /// How often a file that an upstream cut off is taken up again without getting further.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    pub upstream_resumes: usize,
    /// Memory for pages of upstreams, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 33_554_432)]
    pub upstream_page_memory: u64,
    /// How many projects of upstreams are remembered as checked or missing.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    pub upstream_projects_remembered: usize,
    /// How many stored files may be open at once, arriving ones among them; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 8192)]
    pub open_files_limit: usize,
    /// How many connections may be open at once.
    #[arg(long, value_name = "COUNT", default_value_t = 25_000)]
    pub connection_limit: usize,
    /// How long a client may take to send the head of a request, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub request_head_timeout: u64,
    /// How long a client may pause while it sends a body or reads an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub body_idle_timeout: u64,
    /// How long an idle connection is kept, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 75)]
    pub keep_alive_timeout: u64,
    /// How long another server, to which a release is pushed, may keep this one waiting, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub push_timeout: u64,
    /// How long a push to another server may take, waiting for others among it, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    pub max_push_time: u64,
    /// How many pushes to other servers are under way at once, half of them those of one user; further ones wait.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    pub parallel_pushes: usize,
    /// How many pushes to other servers are under way or wait, half of them those of one user; further ones are refused.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub pending_pushes: usize,
    /// How long requests under way may take when the server stops, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub shutdown_timeout: u64,
}

impl LimitOptions {
    /// The bounds of requests.
    pub fn http(&self) -> HttpLimits {
        HttpLimits {
            request_body: self.max_request_body_size,
            json_body: self.max_json_body_size,
            tox_result: self.max_tox_result_size,
            form_fields: self.max_form_fields,
            form_field: self.max_form_field_size,
            form_total: self.max_form_size,
            drained: self.drained_body_size,
            body_idle: Duration::from_secs(self.body_idle_timeout),
            connections: self.connection_limit,
            request_head: Duration::from_secs(self.request_head_timeout),
            keep_alive: Duration::from_secs(self.keep_alive_timeout),
            shutdown: self.shutdown(),
        }
    }

    /// How long requests under way may take when the server stops.
    pub fn shutdown(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout)
    }

    /// The bounds of rules.
    pub fn registry(&self) -> RegistryLimits {
        RegistryLimits {
            commit_attempts: self.commit_attempts,
            index_bases: self.max_index_bases,
            settings: self.max_index_settings_size,
            tox_results: self.max_tox_results,
            archive: self.archive(),
            parallel_uploads: self.parallel_uploads.max(1),
            kept_files: self.large_project_files,
        }
    }

    fn archive(&self) -> archive::Limits {
        archive::Limits { members: self.max_archive_members, metadata_bytes: self.max_core_metadata_size }
    }

    /// The bounds of what is remembered of files.
    pub fn file_cache(&self) -> FileCacheLimits {
        FileCacheLimits {
            files: self.file_cache_items,
            core_metadata: self.core_metadata_cache_size,
            contents: self.small_file_cache_size,
            largest_content: self.max_small_file_size,
        }
    }

    /// The memory for files on their way to clients.
    pub fn pieces(&self) -> PieceMemory {
        PieceMemory::new(self.download_piece_size, self.download_memory)
    }

    /// The bounds of mirrors.
    pub fn mirror(&self) -> MirrorLimits {
        MirrorLimits {
            parallel_pages: self.parallel_upstream_pages.max(1),
            parallel_files: self.parallel_upstream_files.max(1),
            pending_pages: self.pending_upstream_pages.max(1),
            page_size: self.max_upstream_page_size,
            list_size: self.max_upstream_list_size,
            file_size: self.max_upstream_file_size,
            page_time: Duration::from_secs(self.upstream_page_timeout),
            retry_pause: Duration::from_secs(self.upstream_retry_pause),
            breaker_failures: self.upstream_breaker_failures,
            remembered_projects: self.upstream_projects_remembered,
            page_memory: self.upstream_page_memory,
            resumes: self.upstream_resumes,
            document_size: usize::try_from(self.max_core_metadata_size).unwrap_or(usize::MAX),
            archive: self.archive(),
            ..MirrorLimits::default()
        }
    }

    /// The bounds of pushing to other servers.
    pub fn publish(&self) -> PublishLimits {
        PublishLimits {
            parallel: self.parallel_pushes.max(1),
            pending: self.pending_pushes.max(1),
            whole: Duration::from_secs(self.max_push_time),
            idle: Duration::from_secs(self.push_timeout),
            piece: self.download_piece_size,
            ..PublishLimits::default()
        }
    }

    /// The bounds of authentication.
    pub fn auth(&self) -> AuthLimits {
        AuthLimits {
            parallel_passwords: self.parallel_passwords.max(1),
            remembered: self.password_cache_items,
            remembered_for: Duration::from_secs(self.password_cache_time),
        }
    }

    /// The bounds of the database.
    pub fn sqlite(&self) -> SqliteLimits {
        SqliteLimits {
            readers: self.database_readers.max(1),
            pending_changes: self.pending_changes.max(1),
            group_commit: self.group_commit.max(1),
        }
    }

    /// The bounds of the file store.
    pub fn directory(&self) -> DirectoryLimits {
        DirectoryLimits { write_buffer: self.upload_buffer_size, open_files: self.open_files_limit }
    }

    /// Fits the connections and the open files to what descriptors there are, `available` of them.
    pub fn fit(&mut self, available: usize) {
        let available = available.saturating_sub(RESERVED_DESCRIPTORS);
        if self.connection_limit.saturating_add(self.open_files_limit) > available {
            // Most connections are idle, or want what is in memory.
            self.open_files_limit = self.open_files_limit.min(available / 3).max(1);
            self.connection_limit = self.connection_limit.min(available - available / 3).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        limits: LimitOptions,
    }

    #[test]
    fn connections_and_files_share_the_descriptors() {
        let fitted = |available: usize| {
            let mut limits = Program::parse_from(["program"]).limits;
            limits.fit(available);
            (limits.connection_limit, limits.open_files_limit)
        };
        assert_eq!(fitted(usize::MAX), (25_000, 8192));
        assert_eq!(fitted(20_000), (13_206, 6602));
        assert_eq!(fitted(492), (200, 100));
        assert_eq!(fitted(0), (1, 1));
    }
}
