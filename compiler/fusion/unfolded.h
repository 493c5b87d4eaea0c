// How a product reads an operand that strides over its three dimensions cannot say, such as the windows of an image
// reshaped to a matrix: its rows and columns run along several axes each.
#pragma once

#include "compiler/fusion/view.h"

#include <functional>

namespace gmc::fusion {

// The dimensions of an affine op's operand in which it can be left.
std::vector<Guard> guards_of(const graph::Node& movement, const Shape& operand);

// The access of `v` with `axes`, through movements up to a value for which `is_source` holds. Nothing where a movement
// leaves its operand, cuts what a reshape merged, or there are no elements.
std::optional<Access> unfolded_access(const Graph&, Value v, const std::function<bool(Value)>& is_source);

// Neighbours of which one continues the other become one, those of extent 1 go.
Axes merged(const Axes&);

}  // namespace gmc::fusion
