// Initialisers of states: how values are drawn is compiler/dsl/initialiser.h. Those of a shape are for weights [out,
// in, kernel..], whose fans are in * kernel.. and out * kernel.., as in torch.nn.init.
#pragma once

#include "compiler/dsl/callback.h"
#include "compiler/dsl/initialiser.h"
#include "compiler/dsl/module.h"

namespace gmc::init {

inline Initialiser constant(double value) { return {Initialiser::Kind::constant, value, 0}; }
inline Initialiser zeros() { return constant(0); }
inline Initialiser ones() { return constant(1); }
// In [low, high).
inline Initialiser uniform(double low, double high) { return {Initialiser::Kind::uniform, low, high}; }
inline Initialiser normal(double mean, double deviation) { return {Initialiser::Kind::normal, mean, deviation}; }

// Each throws `Error` for a shape of fewer than 2 dimensions.

// Uniform in +-1 / sqrt(fan in): what PyTorch's linear and convolutional layers start with, weights and biases.
Initialiser fan_in(const Shape& weight);
// Uniform in +-gain sqrt(6 / (fan in + fan out)) (Glorot & Bengio 2010, equation 16); normal of the same variance.
Initialiser xavier_uniform(const Shape& weight, double gain = 1);
Initialiser xavier_normal(const Shape& weight, double gain = 1);
// Uniform in +-gain sqrt(3 / fan in) (He et al. 2015, section 2.2; gain sqrt(2) is that of ReLU); normal of the same
// variance.
Initialiser kaiming_uniform(const Shape& weight, double gain = 1.4142135623730951);
Initialiser kaiming_normal(const Shape& weight, double gain = 1.4142135623730951);

// A part of P L U, which is a random rotation or reflection: those of one module belong together.
inline Initialiser rotation(RotationPart part) { return {Initialiser::Kind::rotation, static_cast<double>(part), 0}; }

// All parameters of the module start so. To be called before the module is given to a program; throws `Error`
// afterwards.
void all(const Part& module, const Initialiser& start);
// All parameters of the module that have at least 2 dimensions start so; the same otherwise.
void matrices(const Part& module, const Callback<Initialiser(const Shape&)>& start);

}  // namespace gmc::init
