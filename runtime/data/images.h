// Arrays out of files.
#pragma once

#include "runtime/data/samples.h"

namespace gmc::data {

// t10k-images-idx3-ubyte or else train-images-idx3-ubyte of a folder, plain or .gz, or such a file; labels where the
// file of labels lies beside it.
Array read_mnist(const std::string& path);
// data_batch_1.bin .. data_batch_5.bin of a folder, or one such file.
Array read_cifar(const std::string& path);
// All .png of a folder, and of its folders, whose names in order are the labels: of one size; grey if all are grey,
// else RGB. What is transparent is laid over black.
Array read_png_folder(const std::string& path);
// u8 [N, ...], or f32 or f64 [N, ...], as it is: finite, and in [0, 1] from rank 3 on.
Array read_npy(const std::string& path);
// FILE or FILE:NAME: that array of the archive, or the only one, or `arr_0`, `x` or `images`, under the same terms;
// labels from `labels` or `y`, integers.
Array read_npz(const std::string& path);
// All throw `Error` naming the file, and where it is malformed its offset and field.

}  // namespace gmc::data
