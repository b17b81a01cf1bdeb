namespace Lamina.Compute.Kernels.Attention;

/// <summary>Which earlier positions a row sees.</summary>
public enum WindowKind
{
    /// <summary>All of them.</summary>
    Full,

    /// <summary>The last <c>window</c> positions, its own included.</summary>
    Sliding,

    /// <summary>Those of its own chunk: positions are cut into chunks of <c>window</c>.</summary>
    Chunked,
}

/// <summary>One layer's attention over one batch: where everything lies, and what differs between models. Filled before the workers start.</summary>
internal unsafe struct AttentionLayer
{
    public KvLayout Layout;

    /// <summary>Query heads; a multiple of the key/value heads.</summary>
    public int Heads;

    /// <summary>Factor on q·k.</summary>
    public float Scale;

    /// <summary>Scores become cap × tanh(score / cap); 0 = off.</summary>
    public float SoftCap;

    public WindowKind WindowKind;
    public int Window;

    /// <summary>Scores fall with the distance, by a slope of each head: the largest exponent of the slopes' powers of two; 0 = off.</summary>
    public float AlibiBias;

    /// <summary>False for encoders: a row sees every position up to <see cref="LastPositions"/>.</summary>
    public bool Causal;

    /// <summary>[heads], a score without a value that joins the softmax, or null.</summary>
    public float* Sinks;

    /// <summary>[rows × heads × keyLength].</summary>
    public Rows Queries;

    /// <summary>[rows × heads × valueLength].</summary>
    public Rows Output;

    /// <summary>[rows].</summary>
    public int* Positions;

    /// <summary>[rows]: the last position of the row's sequence in this batch; read when not causal.</summary>
    public int* LastPositions;

    /// <summary>This layer's blocks.</summary>
    public byte* Pool;

    /// <summary>[rows]: each row's sequence; this and the tables only for devices that do not see the host's.</summary>
    public int* Slots;

    /// <summary>[slots × table length]: the blocks of each sequence.</summary>
    public int* Tables;
    public int TableLength;

    /// <summary>Last position of any row.</summary>
    public int LastPosition;

    /// <summary>First position that a row at <paramref name="position"/> sees.</summary>
    public readonly int FirstVisible(int position) => WindowKind switch
    {
        WindowKind.Sliding => Math.Max(0, position - Window + 1),
        WindowKind.Chunked => position / Window * Window,
        _ => 0,
    };

    public readonly int LastVisible(int row) => Causal ? Positions[row] : LastPositions[row];
}
