using Lamina.Compute.Kernels.Attention;
using Lamina.Compute.Kernels.Elementwise;
using Lamina.Compute.Model;

namespace Lamina.Compute.Kernels;

/// <summary>
/// What the layer stack asks of a device, CPU or GPU: memory, and the operations that a layer is made of, each on whole buffers. Pointers in
/// <see cref="Rows"/> and vectors are addresses of the device. Operations run in the order in which they are called; only those that hand values to the host wait for them.
/// </summary>
internal unsafe interface IKernels : IDisposable
{
    /// <summary>True where device addresses are the host's own.</summary>
    bool SharesHostMemory { get; }

    /// <summary>A step begins, on the thread that calls.</summary>
    void Begin();

    /// <summary>Zeroed memory. Throws <see cref="OutOfMemoryException"/> when the device has none left.</summary>
    IBuffer Allocate(long bytes);

    /// <summary>Stacks parts of one type by rows and brings them into the device's layout; what it throws names the tensor.</summary>
    IWeightMatrix Pack(params ReadOnlySpan<WeightPart> parts);

    /// <summary>The same matrix of every expert: parts[expert] are stacked by rows, all experts alike.</summary>
    /// <param name="bias">[experts][rows] or null.</param>
    ExpertLinear PackExperts(IReadOnlyList<WeightPart[]> parts, IReadOnlyList<float[]>? bias);

    /// <summary>Makes the workspaces for steps of these sizes; called once, before the first step.</summary>
    void Reserve(BufferSizes sizes, KvCache cache);

    /// <summary>Copies floats of the host to rows.</summary>
    void Upload(ReadOnlySpan<float> source, Rows y, int rows, int length);

    /// <summary>Copies integers of the host to the device.</summary>
    void Upload(ReadOnlySpan<int> source, int* destination);

    /// <summary>Copies rows to the host and waits for them.</summary>
    void Download(Rows x, int rows, int length, Span<float> destination);

    /// <summary>A row for the host to read and write, valid until the next step: the row itself where host and device share memory, else a copy.</summary>
    /// <param name="rows">Rows that may be asked for until then.</param>
    Span<float> View(Rows x, int row, int rows, int length);

    void Clear(byte* address, long bytes);

    void CopyBytes(byte* source, byte* destination, long bytes);

    /// <summary>y[i] = row ids[i] of a matrix.</summary>
    void Embed(IWeightMatrix matrix, ReadOnlySpan<int> ids, Rows y);

    /// <summary>y[i] = x[rows[i]].</summary>
    void Gather(Rows x, ReadOnlySpan<int> rows, Rows y, int length);

    void Copy(Rows x, Rows y, int rows, int length);

    /// <summary>y = W x + b.</summary>
    /// <param name="ofLogitRows">The rows are those of the step that ask for logits, not all of them.</param>
    void Multiply(Linear weights, Rows x, int rows, Rows y, bool ofLogitRows = false);

    /// <summary>y = norm(x) × weight + bias over each row of <paramref name="length"/>; <paramref name="y"/> may be <paramref name="x"/>.</summary>
    void RmsNorm(Rows x, float* weight, Rows y, int rows, int length, float epsilon);

    /// <inheritdoc cref="RmsNorm"/>
    void LayerNorm(Rows x, float* weight, float* bias, Rows y, int rows, int length, float epsilon);

    /// <summary>Norms <paramref name="heads"/> heads of each row in place, each by itself; head h takes its weight at h × <paramref name="weightStride"/>.</summary>
    void HeadNorm(Rows x, int rows, int heads, int headLength, float* weight, int weightStride, bool layerNorm, float epsilon);

    /// <summary>Writes the rotation factors of each row's position.</summary>
    /// <param name="positions">[rows], of the host.</param>
    void RopeFactors(RopeAngles angles, ReadOnlySpan<int> positions, Rows cosines, Rows sines);

    /// <summary>Rotates the dimensions from <paramref name="x"/> on of every head in place; heads lie <paramref name="headStride"/> apart.</summary>
    void Rope(RopeAngles angles, Rows cosines, Rows sines, Rows x, int rows, int heads, int headStride);

    /// <summary>y = f(gate, up), or f(gate) without <paramref name="up"/>; <paramref name="y"/> may be either.</summary>
    void Activate(Activation activation, Rows gate, Rows? up, Rows y, int rows, int length);

    /// <summary>y += scale × x.</summary>
    void Add(Rows x, float scale, Rows y, int rows, int length);

    /// <summary>y += bias.</summary>
    void AddBias(float* bias, Rows y, int rows, int length);

    void Scale(Rows x, float scale, int rows, int length);

    /// <summary>x[row] *= factors[row][0].</summary>
    void ScaleRows(Rows x, Rows factors, int rows, int length);

    /// <summary>x = cap × tanh(x / cap).</summary>
    void SoftCap(Rows x, float cap, int rows, int length);

    /// <summary>x bounded to ± limit.</summary>
    void Clamp(Rows x, float limit, int rows, int length);

    void Sigmoid(Rows x, int rows, int length);

    /// <summary>Writes each row's keys and values to the cache at its position.</summary>
    void StoreKeyValues(in KeyValueRows rows, int count);

    /// <summary>Attention of all rows and heads over the cache.</summary>
    /// <param name="slots">Each row's sequence, as the host knows it; <see cref="AttentionLayer.Slots"/> is the device's copy.</param>
    void Attend(in AttentionLayer layer, ReadOnlySpan<int> slots);

    /// <summary>Chooses every row's experts by its scores, which are overwritten; holds until the next call. A *use* is one (row, expert) pair; uses are sorted by expert.</summary>
    /// <param name="bias">[experts], added for the choice only, or null.</param>
    void Route(ExpertShape shape, Rows scores, Vector? bias, int rows);

    /// <summary>y[use] = W[expert of the use] x + b, with x the use's row, or of the use itself where <paramref name="byUse"/>.</summary>
    void MultiplyExperts(ExpertLinear weights, Rows x, int rows, bool byUse, Rows y);

    /// <summary>y[row] = sum over the row's uses, best expert first, of weight × x[use].</summary>
    void CombineExperts(Rows x, Rows y, int rows, int length);

    /// <summary>
    /// Picks the largest of each row on the device, so that only they travel. False where the host reads rows at no cost, or for more than the device picks.
    /// </summary>
    /// <param name="most">Largest number that any row asks for.</param>
    bool TryPickLargest(Rows x, int rows, int length, int most, LargestLogits largest);
}
