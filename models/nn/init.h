// Initialisers of states: how values are drawn is compiler/dsl/initialiser.h.
#pragma once

#include "compiler/dsl/initialiser.h"

namespace gmc::init {

inline Initialiser constant(double value) { return {Initialiser::Kind::constant, value, 0}; }
inline Initialiser zeros() { return constant(0); }
inline Initialiser ones() { return constant(1); }
// In [low, high).
inline Initialiser uniform(double low, double high) { return {Initialiser::Kind::uniform, low, high}; }
inline Initialiser normal(double mean, double deviation) { return {Initialiser::Kind::normal, mean, deviation}; }

}  // namespace gmc::init
