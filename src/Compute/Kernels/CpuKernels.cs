using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Kernels.Lanes;

namespace Lamina.Compute.Kernels;

/// <summary>
/// The operations that a layer is made of, each on whole buffers and shared among a worker team. Chosen once per stage; what a row becomes depends on
/// that row alone.
/// </summary>
internal abstract unsafe partial class CpuKernels(WorkerTeam team) : IKernels
{
    public WorkerTeam Team => team;

    public static CpuKernels For(WorkerTeam team) => team.Variant switch
    {
        CpuVariant.Avx512 => new CpuKernels<Lanes512>(team),
        CpuVariant.Avx2 => new CpuKernels<Lanes256>(team),
        _ => new CpuKernels<LanesScalar>(team),
    };

    public abstract void RmsNorm(Rows x, float* weight, Rows y, int rows, int length, float epsilon);
    public abstract void LayerNorm(Rows x, float* weight, float* bias, Rows y, int rows, int length, float epsilon);
    public abstract void HeadNorm(Rows x, int rows, int heads, int headLength, float* weight, int weightStride, bool layerNorm, float epsilon);

    /// <summary>Writes the rotation factors of each row's position.</summary>
    public abstract void RopeFactors(RopeAngles angles, int* positions, int rows, Rows cosines, Rows sines);
    public abstract void Rope(RopeAngles angles, Rows cosines, Rows sines, Rows x, int rows, int heads, int headStride);
    public abstract void Activate(Activation activation, Rows gate, Rows? up, Rows y, int rows, int length);
    public abstract void Add(Rows x, float scale, Rows y, int rows, int length);
    public abstract void AddBias(float* bias, Rows y, int rows, int length);
    public abstract void Scale(Rows x, float scale, int rows, int length);
    public abstract void SoftCap(Rows x, float cap, int rows, int length);
    public abstract void Clamp(Rows x, float limit, int rows, int length);

    public abstract void Softmax(Rows x, int rows, int length);
    public abstract void Sigmoid(Rows x, int rows, int length);
    public abstract void StoreKeyValues(in KeyValueRows rows, int count);

    /// <summary>Attention of all rows and heads over the cache. Slots give each row's sequence.</summary>
    public abstract void Attend(in AttentionLayer layer, ReadOnlySpan<int> slots, AttentionWorkspace workspace);
}
