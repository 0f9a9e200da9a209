//! What every [`MetaStore`](wheelhouse::storage::meta::MetaStore) promises, run over each backend.
//!
//! A case is a function of a [`Place`](support::Place), where a store can be opened again and again. A further backend
//! is a further `suite!` line.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod closing;
#[cfg(test)]
mod contents;
#[cfg(test)]
mod expectations;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod loading;
#[cfg(test)]
mod mirrors;
#[cfg(test)]
mod model;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod releases;
#[cfg(test)]
mod support;

/// Makes a test of each case.
macro_rules! tests {
    ($place:ty: $($area:ident::$case:ident),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::$area::$case(&<$place>::new()).await;
            }
        )+
    };
}

/// Runs all cases over one backend.
macro_rules! suite {
    ($backend:ident, $place:ty) => {
        #[cfg(test)]
        mod $backend {
            tests! {
                $place:
                changes::serials_ascend_from_zero_without_gaps,
                changes::a_change_set_is_kept_whole_or_not_at_all,
                changes::a_failing_change_set_does_not_disturb_its_neighbours,
                changes::what_was_touched_is_told_without_repetitions,
                changes::the_change_log_is_read_in_steps,
                changes::many_commits_at_once_get_serials_of_their_own,
                changes::listeners_hear_in_order_and_before_the_committer,
                changes::listeners_hear_of_commits_nobody_waits_for,
                contents::what_came_since_a_mark_is_read,
                contents::what_went_since_a_mark_is_missed_in_the_number,
                expectations::users_are_expected_with_their_indexes,
                expectations::indexes_are_expected_by_their_settings,
                expectations::projects_are_expected_with_all_that_is_in_them,
                expectations::files_are_expected_by_name,
                expectations::all_expectations_must_hold,
                expectations::of_rivals_exactly_one_wins,
                lifetimes::a_removed_file_is_known_to_have_been_there,
                lifetimes::files_go_with_what_they_lie_in,
                lifetimes::what_comes_again_starts_empty,
                lifetimes::what_is_about_a_removed_file_goes_with_it,
                lifetimes::a_replaced_file_is_gone_and_the_new_one_there,
                lifetimes::the_same_path_can_be_filled_again,
                lifetimes::contents_stay_referenced_after_removal,
                lifetimes::contents_are_listed_with_whether_they_are_present,
                reading::names_come_sorted_and_links_as_they_came,
                reading::a_missing_index_has_nothing,
                reading::users_and_indexes_are_kept_as_given,
                reading::documents_are_kept_under_their_hash,
                reading::links_are_kept_in_full,
                reading::a_snapshot_does_not_see_later_commits,
                reading::many_snapshots_are_lent_one_after_the_other,
                releases::an_update_keeps_fields_that_are_not_named,
                releases::a_replacement_keeps_nothing,
                releases::unchanged_metadata_change_nothing,
                releases::requires_python_is_taken_out_of_the_metadata,
                mirrors::an_upstreams_page_is_kept_in_full_and_replaced,
                mirrors::a_new_page_tells_what_it_touches,
                mirrors::parts_of_a_fetched_file_add_up,
                mirrors::a_deleted_file_stays_away_until_its_page_changes,
                mirrors::a_mirror_goes_with_all_that_was_kept_of_it,
                mirrors::notes_are_kept_without_serials,
                loading::what_is_loaded_keeps_its_serials,
                loading::former_files_are_known_as_removed,
                loading::records_are_loaded_all_or_none,
                closing::a_closed_store_refuses_work,
                closing::commits_under_way_are_finished,
                closing::reopening_keeps_everything,
            }

            #[test]
            fn behaves_as_the_model() {
                crate::model::behaves_as_the_model(<$place>::new);
            }
        }
    };
}

suite!(sqlite, crate::support::SqlitePlace);
