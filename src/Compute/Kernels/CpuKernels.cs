using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels;

/// <summary>
/// The operations that a layer is made of, each on whole buffers and shared among a worker team. Chosen once per stage; what a row becomes depends on
/// that row alone.
/// </summary>
internal abstract unsafe partial class CpuKernels(WorkerTeam team)
{
    public WorkerTeam Team => team;

    public static CpuKernels For(WorkerTeam team) => team.Variant switch
    {
        CpuVariant.Avx512 => new CpuKernels<Lanes512>(team),
        CpuVariant.Avx2 => new CpuKernels<Lanes256>(team),
        _ => new CpuKernels<LanesScalar>(team),
    };

    /// <summary>y = norm(x) × weight + bias over each row of <paramref name="length"/>; <paramref name="y"/> may be <paramref name="x"/>.</summary>
    public abstract void RmsNorm(Rows x, float* weight, Rows y, int rows, int length, float epsilon);

    /// <inheritdoc cref="RmsNorm"/>
    public abstract void LayerNorm(Rows x, float* weight, float* bias, Rows y, int rows, int length, float epsilon);

    /// <summary>Norms <paramref name="heads"/> heads of each row in place, each by itself; head h takes its weight at h × <paramref name="weightStride"/>.</summary>
    public abstract void HeadNorm(Rows x, int rows, int heads, int headLength, float* weight, int weightStride, bool layerNorm, float epsilon);

    /// <summary>Writes the rotation factors of each row's position.</summary>
    public abstract void RopeFactors(RopeAngles angles, int* positions, int rows, Rows cosines, Rows sines);

    /// <summary>Rotates the dimensions from <paramref name="x"/> on of every head in place; heads lie <paramref name="headStride"/> apart.</summary>
    public abstract void Rope(RopeAngles angles, Rows cosines, Rows sines, Rows x, int rows, int heads, int headStride);

    /// <summary>y = f(gate, up), or f(gate) without <paramref name="up"/>; <paramref name="y"/> may be either.</summary>
    public abstract void Activate(Activation activation, Rows gate, Rows? up, Rows y, int rows, int length);

    /// <summary>y += scale × x.</summary>
    public abstract void Add(Rows x, float scale, Rows y, int rows, int length);

    /// <summary>y += bias.</summary>
    public abstract void AddBias(float* bias, Rows y, int rows, int length);

    public abstract void Scale(Rows x, float scale, int rows, int length);

    /// <summary>x = cap × tanh(x / cap).</summary>
    public abstract void SoftCap(Rows x, float cap, int rows, int length);

    /// <summary>x bounded to ± limit.</summary>
    public abstract void Clamp(Rows x, float limit, int rows, int length);

    public abstract void Softmax(Rows x, int rows, int length);

    public abstract void Sigmoid(Rows x, int rows, int length);

    /// <summary>Writes each row's keys and values to the cache at its position.</summary>
    public abstract void StoreKeyValues(in KeyValueRows rows, int count);

    /// <summary>Attention of all rows and heads over the cache. Slots give each row's sequence.</summary>
    public abstract void Attend(in AttentionLayer layer, ReadOnlySpan<int> slots, AttentionWorkspace workspace);
}
