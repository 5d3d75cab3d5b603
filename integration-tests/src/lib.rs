//! Fantail driven from outside, as its users and its peers do.
