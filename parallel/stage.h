// What the executor drives: one rank's part of a model, with the activations of the micro-batches in flight. src/engine has it.
#pragma once

#include "kernels/base/tensor.h"
#include "parallel/program.h"

namespace tandem {

class Stage {
public:
    virtual ~Stage() = default;

    // Tensors of messages; the executor receives into them and sends from them. They stay valid until the instruction that uses
    // them (receives) or, for sends, until this call returns: the executor copies what it sends.
    virtual Tensor forward_input(const Instruction&) = 0;    ///< ReceiveForward: where the part's input goes
    virtual Tensor forward_output(const Instruction&) = 0;   ///< SendForward
    virtual Tensor output_gradient(const Instruction&) = 0;  ///< ReceiveBackward: where the gradient of the part's output goes
    virtual Tensor input_gradient(const Instruction&) = 0;   ///< SendBackward

    virtual void forward(const Instruction&) = 0;
    virtual void recompute(const Instruction&) = 0;
    virtual void backward(const Instruction&) = 0;
    virtual void backward_input(const Instruction&) = 0;
    virtual void backward_weight(const Instruction&) = 0;

    virtual void reduce(int bucket) = 0;
    virtual void clip() = 0;
    virtual void update(int bucket) = 0;
    virtual void gather(int bucket) = 0;
};

}  // namespace tandem
