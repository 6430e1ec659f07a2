// float64 convolution as its definition, loop for loop.
//
// Every output element is computed by one thread in a fixed order; the gradients are gathered, never scattered.
#include "core/cpu/conv.h"

namespace dnn::cpu::conv_reference {
namespace {

using kernel::ConvProblem;

// The sizes of a problem under their usual names.
struct Sizes {
  explicit Sizes(const ConvProblem& p)
      : n(p.input[0]),
        c(p.input[1]),
        h(p.input[2]),
        w(p.input[3]),
        k(p.output[1]),
        oh(p.output[2]),
        ow(p.output[3]),
        r(p.weight[2]),
        s(p.weight[3]),
        group_c(p.weight[1]),
        group_k(p.output[1] / p.groups) {}
  int64_t n, c, h, w, k, oh, ow, r, s;
  int64_t group_c, group_k;  // channels of one group
};

const double* values(const Tensor& t) { return static_cast<const double*>(detail::raw(t)); }
double* writable(const Tensor& t) { return static_cast<double*>(detail::raw(t)); }

}  // namespace

void forward(const ConvProblem& p, const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& out) {
  const Sizes z(p);
  const double *const xs = values(x), *const ws = values(weight);
  const double* const bs = bias.defined() ? values(bias) : nullptr;
  double* const ys = writable(out);
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t n = 0; n < z.n; ++n) {
    for (int64_t k = 0; k < z.k; ++k) {
      const int64_t first_c = k / z.group_k * z.group_c;
      for (int64_t oh = 0; oh < z.oh; ++oh) {
        for (int64_t ow = 0; ow < z.ow; ++ow) {
          double sum = bs != nullptr ? bs[k] : 0.0;
          for (int64_t c = 0; c < z.group_c; ++c) {
            for (int64_t r = 0; r < z.r; ++r) {
              const int64_t h = oh * p.stride.h - p.padding.h + r * p.dilation.h;
              if (h < 0 || h >= z.h) continue;
              for (int64_t s = 0; s < z.s; ++s) {
                const int64_t w = ow * p.stride.w - p.padding.w + s * p.dilation.w;
                if (w < 0 || w >= z.w) continue;
                sum +=
                    xs[((n * z.c + first_c + c) * z.h + h) * z.w + w] * ws[((k * z.group_c + c) * z.r + r) * z.s + s];
              }
            }
          }
          ys[((n * z.k + k) * z.oh + oh) * z.ow + ow] = sum;
        }
      }
    }
  }
}

void backward_data(const ConvProblem& p, const Tensor& grad_output, const Tensor& weight, const Tensor& grad_input,
                   bool accumulate) {
  const Sizes z(p);
  const double *const gs = values(grad_output), *const ws = values(weight);
  double* const dxs = writable(grad_input);
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t n = 0; n < z.n; ++n) {
    for (int64_t c = 0; c < z.c; ++c) {
      const int64_t first_k = c / z.group_c * z.group_k, weight_c = c % z.group_c;
      for (int64_t h = 0; h < z.h; ++h) {
        for (int64_t w = 0; w < z.w; ++w) {
          double sum = 0.0;
          for (int64_t r = 0; r < z.r; ++r) {
            const int64_t up = h + p.padding.h - r * p.dilation.h;  // stride times the output row that tap r reaches
            if (up < 0 || up % p.stride.h != 0 || up / p.stride.h >= z.oh) continue;
            for (int64_t s = 0; s < z.s; ++s) {
              const int64_t left = w + p.padding.w - s * p.dilation.w;
              if (left < 0 || left % p.stride.w != 0 || left / p.stride.w >= z.ow) continue;
              for (int64_t k = first_k; k < first_k + z.group_k; ++k) {
                sum += gs[((n * z.k + k) * z.oh + up / p.stride.h) * z.ow + left / p.stride.w] *
                       ws[((k * z.group_c + weight_c) * z.r + r) * z.s + s];
              }
            }
          }
          double& dx = dxs[((n * z.c + c) * z.h + h) * z.w + w];
          dx = accumulate ? dx + sum : sum;
        }
      }
    }
  }
}

void backward_weight(const ConvProblem& p, const Tensor& x, const Tensor& grad_output, const Tensor& grad_weight,
                     bool accumulate) {
  const Sizes z(p);
  const double *const xs = values(x), *const gs = values(grad_output);
  double* const dws = writable(grad_weight);
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t k = 0; k < z.k; ++k) {
    for (int64_t c = 0; c < z.group_c; ++c) {
      const int64_t input_c = k / z.group_k * z.group_c + c;
      for (int64_t r = 0; r < z.r; ++r) {
        for (int64_t s = 0; s < z.s; ++s) {
          double sum = 0.0;
          for (int64_t n = 0; n < z.n; ++n) {
            for (int64_t oh = 0; oh < z.oh; ++oh) {
              const int64_t h = oh * p.stride.h - p.padding.h + r * p.dilation.h;
              if (h < 0 || h >= z.h) continue;
              for (int64_t ow = 0; ow < z.ow; ++ow) {
                const int64_t w = ow * p.stride.w - p.padding.w + s * p.dilation.w;
                if (w < 0 || w >= z.w) continue;
                sum += xs[((n * z.c + input_c) * z.h + h) * z.w + w] * gs[((n * z.k + k) * z.oh + oh) * z.ow + ow];
              }
            }
          }
          double& dw = dws[((k * z.group_c + c) * z.r + r) * z.s + s];
          dw = accumulate ? dw + sum : sum;
        }
      }
    }
  }
}

}  // namespace dnn::cpu::conv_reference
