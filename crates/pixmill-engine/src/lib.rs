//! What pixmill does, in words of its own: no vendor, no protocol, no clock but its ports'.

pub mod again;
pub mod catalogue;
pub mod checkup;
pub mod code;
pub mod fault;
pub mod lead;
pub mod look;
pub mod model;
pub mod orphans;
pub mod pipeline;
pub mod port;
pub mod results;
pub mod run;
pub mod serve;
pub mod stack;
pub mod upkeep;

/// Where tests may stop the process, by a name. Nothing at all in a build without `failpoints`.
#[macro_export]
macro_rules! fail_point {
    ($($point:tt)*) => {
        #[cfg(feature = "failpoints")]
        ::fail::fail_point!($($point)*);
    };
}
