//! Rules turned wrong on purpose, to see that whoever looks for faults finds them.

/// A rule that does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// An image ends for whoever says so, whatever its token.
    TokenNotCompared,
    /// A request is completed while its last image is under way.
    CompletionEarly,
    /// A completion is written without its event.
    EventLost,
    /// A claim counts no attempt.
    AttemptNotCounted,
    /// What follows an image stays when that one ends.
    FollowersLeftBehind,
    /// Leases are not renewed.
    RenewalIgnored,
    /// What is put off or tried again is claimed at once.
    DueTimeIgnored,
    /// A lease that ran out is not seen.
    LeasesNeverExpire,
    /// Whoever's worker was lost is tried for ever.
    AttemptsWithoutEnd,
    /// What was cancelled stays in its worker's hands.
    CancelLeavesHeldImages,
    /// A retry opens completed images too.
    RetryReopensCompleted,
    /// A retry stays in its round.
    RetryStaysInItsRound,
    /// Whoever's lease of an event ran out says what comes next all the same.
    OldTellerDecides,
    /// An event that was given out and not told is not due again.
    LeasedEventsForgotten,
    /// Two processes have a right at the same time.
    RightsAreShared,
    /// A settlement wins that changed nothing.
    LoserWins,
    /// An image is claimed that somebody holds.
    HeldImagesClaimed,
    /// An attempt that was not made is counted.
    GivenBackCounts,
    /// Intervals are measured by the wall's clock.
    WallTimeInIntervals,
    /// An output is recorded before it is durable.
    OutputNotDurable,
    /// Leases are judged by the clock of whoever asks.
    CallersClock,
    /// A request is not marked before its outputs go.
    DeletionUnmarked,
    /// What another program made is deleted like a request of one's own.
    ForeignRequestsDeleted,
    /// A request whose last images another worker ended is not completed.
    ForeignEndsUnseen,
    /// An output is said to be recorded, and is not.
    EndsNotWritten,
}

impl Wrong {
    /// Every wrong rule.
    pub const ALL: [Wrong; 25] = [
        Wrong::TokenNotCompared,
        Wrong::CompletionEarly,
        Wrong::EventLost,
        Wrong::AttemptNotCounted,
        Wrong::FollowersLeftBehind,
        Wrong::RenewalIgnored,
        Wrong::DueTimeIgnored,
        Wrong::LeasesNeverExpire,
        Wrong::AttemptsWithoutEnd,
        Wrong::CancelLeavesHeldImages,
        Wrong::RetryReopensCompleted,
        Wrong::RetryStaysInItsRound,
        Wrong::OldTellerDecides,
        Wrong::LeasedEventsForgotten,
        Wrong::RightsAreShared,
        Wrong::LoserWins,
        Wrong::HeldImagesClaimed,
        Wrong::GivenBackCounts,
        Wrong::WallTimeInIntervals,
        Wrong::OutputNotDurable,
        Wrong::CallersClock,
        Wrong::DeletionUnmarked,
        Wrong::ForeignRequestsDeleted,
        Wrong::ForeignEndsUnseen,
        Wrong::EndsNotWritten,
    ];
}
