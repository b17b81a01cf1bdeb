using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Tests.Kernels;

public sealed unsafe class MatMulTests
{
    [Fact]
    public void Multiply_SmallFloats_EqualsHandCalculation()
    {
        using var team = new WorkerTeam(2);
        using var weights = TestWeights.FromFloats(team, [[1, 2, 3], [-1, 0.5f, 4]]);
        using var x = new ActivationRows(2, 3);
        float* input = stackalloc float[] { 1, 10, 100, 2, -2, 0.5f };
        float* output = stackalloc float[4];
        x.Set(input, 3, 2, 3);
        MatMul.Multiply(team, weights, x, output, 2);
        Assert.Equal([321f, 404f, -0.5f, -1f], new Span<float>(output, 4).ToArray());
    }
}
