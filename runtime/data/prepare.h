// What is done to samples before they are inputs: `--prepare pad=32,range=-1:1`, or the field `prepare` of a model's
// configuration.
//
//   pad=S         images: zeros around them, up to S x S
//   crop=S        images: the S x S in the middle
//   pool=K        images: means of K x K pixels
//   resize=S      images: S x S, each pixel the mean of the area it covers
//   grey          images: of three channels the luma of Rec. 601
//   flip          images: half of the training samples from right to left, another half every step
//   binarise      in [0, 1]: 1 with the value's probability, else 0; in training anew every step, in validation always
//                 the same
//   dequantise    of 256 levels: (255 x + u) / 256 with u uniform in [0, 1) (Uria et al. 2013, section 4.1)
//   range=A:B     A + (B - A) x
//
// They are applied in this order, whatever the order in the text.
#pragma once

#include "runtime/base/tensor.h"

#include <string>
#include <vector>

namespace gmc::data {

struct Prepare {
  int64_t pad = 0, crop = 0, pool = 0, resize = 0;  // 0: not
  bool grey = false, flip = false, binarise = false, dequantise = false;
  bool ranged = false;
  double low = 0, high = 1;

  // Throws `Error`, as a mistake of usage, for anything but the list above.
  static Prepare parse(const std::string& text);
  bool any_of_images() const { return pad || crop || pool || resize || grey || flip; }
};

// The help of every preparation, one a line.
std::vector<std::string> preparations();

// pad, crop, pool, resize and grey of u8 or f32 [N, H, W] or [N, C, H, W]; f32 in [0, 1] where pixels are mixed, else
// the dtype of `images`. `source` names the data. Throws `Error` for samples that are no images or of another size.
HostTensor prepare_images(HostTensor images, const Prepare&, const std::string& source);

}  // namespace gmc::data
