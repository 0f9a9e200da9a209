//! What every [`FileStore`](wheelhouse::storage::files::FileStore) promises, run over each backend.
//!
//! A case is a function of a [`Place`](support::Place), where a store can be opened again and again. A further backend
//! is a further `suite!` line.

#[cfg(test)]
mod arriving;
#[cfg(test)]
mod directory;
#[cfg(test)]
mod dropping;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod local;
#[cfg(test)]
mod pieces;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod settling;
#[cfg(test)]
mod support;
#[cfg(test)]
mod upkeep;

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
                arriving::a_content_can_be_looked_at_before_it_is_kept,
                arriving::nothing_can_be_read_before_it_is_kept,
                arriving::what_is_dropped_leaves_nothing,
                arriving::an_arriving_content_is_read_along,
                arriving::many_contents_arrive_at_once,
                reading::a_kept_content_is_read_in_ranges,
                reading::an_empty_content_is_one,
                reading::an_open_content_outlives_its_removal,
                reading::an_unknown_content_is_not_there,
                leases::the_same_content_is_kept_once,
                leases::a_confirmed_content_stays,
                leases::a_discarded_content_goes,
                leases::a_discarded_content_stays_where_it_is_referenced,
                leases::a_discarded_content_stays_for_another_lease,
                leases::a_content_can_come_again_after_a_discard,
                leases::leases_discarded_at_once_leave_nothing,
                leases::rivals_for_one_content_never_lose_it,
                local::local_files_are_taken_and_given,
                upkeep::confirmed_contents_are_listed_by_the_first_byte,
                upkeep::a_content_can_be_removed,
                upkeep::a_content_that_is_set_aside_is_kept_elsewhere,
                settling::what_was_not_confirmed_is_settled_at_the_start,
                settling::what_was_confirmed_is_not_asked_about,
                settling::a_lease_that_is_dropped_is_settled_later,
                settling::a_failing_question_loses_nothing,
            }

            #[test]
            fn digests_are_right_for_pieces_of_any_size() {
                crate::pieces::digests_are_right_for_pieces_of_any_size(<$place>::new);
            }
        }
    };
}

suite!(directory_store, crate::support::DirectoryPlace);
