using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Compute.Model;

/// <summary>Checks a stage's tensors against the shape, then packs them.</summary>
internal sealed class WeightLoader
{
    private readonly ModelShape _shape;
    private readonly WorkerTeam _team;
    private readonly IKernels _kernels;
    private readonly ITensorSource _source;
    private readonly Dictionary<string, TensorView> _tensors;
    private readonly Action<long, long>? _progress;
    private readonly Weights _weights = new();
    private readonly long _totalBytes;
    private long _doneBytes;

    private WeightLoader(ITensorSource source, ModelShape shape, WorkerTeam team, IKernels kernels, Dictionary<string, TensorView> tensors, Action<long, long>? progress)
    {
        _source = source;
        _shape = shape;
        _team = team;
        _kernels = kernels;
        _tensors = tensors;
        _progress = progress;
        _totalBytes = tensors.Values.Sum(tensor => tensor.ByteLength);
    }

    public static Weights Load(ITensorSource source, ModelShape shape, LayerRange layers, int contextLength, WorkerTeam team, IKernels kernels, Action<long, long>? progress)
    {
        var loader = new WeightLoader(source, shape, team, kernels, Check(source, shape, layers), progress);
        try
        {
            loader.Load(layers, contextLength);
            return loader._weights;
        }
        catch
        {
            loader._weights.Dispose();
            throw;
        }
    }

    /// <summary>All tensors of a stage, each of exactly the dimensions that the metadata implies.</summary>
    public static Dictionary<string, TensorView> Check(ITensorSource source, ModelShape shape, LayerRange layers)
    {
        var tensors = new Dictionary<string, TensorView>(StringComparer.Ordinal);
        foreach (TensorSpec spec in shape.Tensors(layers, name => source.TryGet(name, out _)))
        {
            if (source.TryGet(spec.Name, out TensorView tensor))
            {
                spec.Check(tensor);
                if (!WeightMatrix.IsSupported(tensor.Type))
                {
                    throw new NotSupportedException($"tensor '{spec.Name}': weights of type {tensor.Type} are not supported");
                }

                tensors[spec.Name] = tensor;
            }
            else if (spec.Required)
            {
                throw new InvalidDataException($"tensor '{spec.Name}' [{string.Join(" x ", spec.Dimensions)}] is missing");
            }
        }

        return tensors;
    }

    /// <summary>Native memory that a tensor takes once loaded: vectors as floats, each matrix of three dimensions packed by itself.</summary>
    public static long LoadedBytes(in TensorView tensor)
    {
        if (tensor.Dimensions.Count == 1)
        {
            return tensor.Columns * sizeof(float);
        }

        long rows = tensor.Dimensions[1];
        return checked(tensor.Rows / rows * WeightMatrix.PackedBytes(tensor.Type, rows, tensor.Columns));
    }

    private void Load(LayerRange layers, int contextLength)
    {
        bool last = _shape.HasLogits && layers.End == _shape.LayerCount;
        if (_tensors.ContainsKey("token_embd.weight"))
        {
            _weights.Embedding = Linear("token_embd");
        }

        if (layers.First == 0 && _shape.LearnedPositions)
        {
            _weights.Positions = Linear("position_embd");
        }

        if (_tensors.ContainsKey("token_types.weight"))
        {
            _weights.TokenTypes = Linear("token_types");
        }

        _weights.EmbeddingNorm = Norm("token_embd_norm");
        _weights.RopeFactors = RopeFactors(contextLength);
        for (int i = layers.First; i < layers.End; i++)
        {
            _weights.Layers.Add(Layer(_shape.Layers[i], $"blk.{i}."));
            Release($"blk.{i}.");
        }

        if (last)
        {
            _weights.OutputNorm = Norm("output_norm");
            _weights.Output = _tensors.ContainsKey("output.weight") ? Linear("output") : _weights.Embedding;
        }

        Release("");
    }

    /// <summary>A packed layer's file pages would double the memory held while loading.</summary>
    private void Release(string prefix)
    {
        foreach (TensorView tensor in _tensors.Values.Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal)))
        {
            _source.Release(tensor);
        }
    }

    private LayerWeights Layer(LayerShape layer, string prefix)
    {
        FeedForwardShape block = layer.FeedForward;
        return new LayerWeights
        {
            AttentionNorm = Norm(prefix + "attn_norm"),
            QueryKeyValue = layer.Attention.Latent is null ? QueryKeyValue(prefix) : null,
            Latent = layer.Attention.Latent is { } latent ? Latent(latent, layer.Attention.Heads, prefix) : null,
            QueryNorm = Vector(prefix + "attn_q_norm.weight"),
            KeyNorm = Vector(prefix + "attn_k_norm.weight"),
            Sinks = Vector(prefix + "attn_sinks.weight"),
            AttentionOutput = Linear(prefix + "attn_output"),
            PostAttentionNorm = layer.NormAfter ? Norm(prefix + "post_attention_norm") : null,
            FeedForwardNorm = Norm(prefix + (layer.Residual == ResidualForm.Parallel ? "attn_norm_2" : layer.FeedForwardNorm)),
            FeedForward = block.Experts is null ? Dense(block, block.Length, prefix, "") : null,
            Experts = block.Experts is { } experts ? Experts(block, experts, prefix) : null,
            AttentionStreamNorm = layer.NormStream ? Norm(prefix + "attn_output_norm") : null,
            LayerStreamNorm = layer.NormStream ? Norm(prefix + "layer_output_norm") : null,
            PostFeedForwardNorm = layer.NormAfter ? Norm(prefix + "post_ffw_norm") : null,
        };
    }

    private Linear QueryKeyValue(string prefix) => _tensors.ContainsKey(prefix + "attn_qkv.weight")
        ? Linear(prefix + "attn_qkv")
        : Linear(prefix + "attn_q", prefix + "attn_k", prefix + "attn_v");

    private LatentWeights Latent(LatentShape shape, int heads, string prefix)
    {
        bool compressed = shape.QueryRank > 0;
        Linear[] Heads(string name) => shape.Absorbed ? [.. Enumerable.Range(0, heads).Select(head => Part(head, heads, prefix + name))] : [];
        return new LatentWeights(
            compressed ? Linear(prefix + "attn_q_a") : null,
            Vector(prefix + "attn_q_a_norm.weight"),
            Linear(prefix + (compressed ? "attn_q_b" : "attn_q")),
            Linear(prefix + "attn_kv_a_mqa"),
            Vector(prefix + "attn_kv_a_norm.weight")!,
            Heads("attn_k_b"),
            Heads("attn_v_b"),
            shape.Absorbed ? null : Linear(prefix + "attn_kv_b"));
    }

    private FeedForwardWeights Dense(FeedForwardShape block, int length, string prefix, string suffix)
    {
        string up = prefix + "ffn_up" + suffix;
        Linear gateUp = block.Gated && !block.GateInUp ? Linear(prefix + "ffn_gate" + suffix, up) : Linear(up);
        return new FeedForwardWeights(gateUp, Linear(prefix + "ffn_down" + suffix), length);
    }

    private ExpertWeights Experts(FeedForwardShape block, ExpertShape shape, string prefix)
    {
        return new ExpertWeights(
            Linear(prefix + "ffn_gate_inp"),
            Vector(prefix + "exp_probs_b.bias"),
            _tensors.ContainsKey(prefix + "ffn_gate_up_exps.weight") ? Experts(shape.Count, prefix + "ffn_gate_up_exps") : Experts(shape.Count, prefix + "ffn_gate_exps", prefix + "ffn_up_exps"),
            Experts(shape.Count, prefix + "ffn_down_exps"),
            shape.SharedLength > 0 ? Dense(block, shape.SharedLength, prefix, "_shexp") : null,
            shape.SharedGate ? Linear(prefix + "ffn_gate_inp_shexp") : null);
    }

    private ExpertLinear Experts(int count, params string[] names)
    {
        WeightPart[][] parts = [.. Enumerable.Range(0, count).Select(e => Parts(e, count, names))];
        float[]?[] biases = [.. Enumerable.Range(0, count).Select(e => Stacked(parts[e], i => Bias(names[i], e, count)))];
        ExpertLinear experts = _kernels.PackExperts(parts, biases[0] is null ? null : [.. biases.Select(bias => bias!)]);
        _weights.Own(experts, experts.Bytes);
        _weights.Linears.AddRange(experts.Linears);
        Done(parts.Sum(part => part.Sum(p => GgmlTypes.ByteLength(p.Tensor.Type, p.Tensor.Columns) * p.Rows)));
        return experts;
    }

    /// <summary>One expert's or head's rows of tensors that hold all of them.</summary>
    private WeightPart[] Parts(int part, int count, string[] names)
    {
        var parts = new WeightPart[names.Length];
        for (int i = 0; i < names.Length; i++)
        {
            if (!_tensors.TryGetValue(names[i] + ".weight", out TensorView tensor))
            {
                parts[i] = _tensors[$"{names[i][..^"_exps".Length]}.{part}.weight"];
                continue;
            }

            int rows = checked((int)(tensor.Rows / count));
            parts[i] = new WeightPart(tensor, (long)part * rows, rows);
        }

        return parts;
    }

    private Linear Part(int part, int count, params string[] names) => Linear(Parts(part, count, names), i => Bias(names[i], part, count), part, count);

    /// <summary>The tensors stacked by rows, with their biases where they have any.</summary>
    private Linear Linear(params string[] names) => Linear([.. names.Select(name => (WeightPart)_tensors[name + ".weight"])], i => Bias(names[i], 0, 1), 0, 1);

    private Linear Linear(WeightPart[] parts, Func<int, float[]?> biasOf, int part, int count)
    {
        Linear linear = PackedParts.Pack(_kernels, parts, part, count, Stacked(parts, biasOf), _weights.Own, Done);
        _weights.Linears.Add(linear);
        return linear;
    }

    /// <summary>The parts' biases one behind the other, zeros where a part has none; null where none has.</summary>
    private static float[]? Stacked(WeightPart[] parts, Func<int, float[]?> biasOf)
    {
        float[]? bias = null;
        for (int i = 0, offset = 0; i < parts.Length; offset += parts[i].Rows, i++)
        {
            if (biasOf(i) is { } values)
            {
                bias ??= new float[parts.Sum(part => part.Rows)];
                values.CopyTo(bias.AsSpan(offset));
            }
        }

        return bias;
    }

    private float[]? Bias(string name, int part, int parts)
    {
        if (!_tensors.TryGetValue(name + ".bias", out TensorView tensor))
        {
            return null;
        }

        float[] values = Floats(tensor);
        int length = values.Length / parts;
        return values.AsSpan(part * length, length).ToArray();
    }

    private Norm? Norm(string name)
    {
        if (_shape.Norm != NormKind.PlainLayer)
        {
            return Vector(name + ".weight") is { } weight ? new Norm(weight, Vector(name + ".bias")) : null;
        }

        bool has = name == "output_norm" || name.EndsWith(".attn_norm", StringComparison.Ordinal) || name.EndsWith(".ffn_norm", StringComparison.Ordinal);
        return has ? new Norm(Own(Enumerable.Repeat(1f, _shape.EmbeddingLength).ToArray()), null) : null;
    }

    private Vector? Vector(string name)
    {
        if (!_tensors.TryGetValue(name, out TensorView tensor))
        {
            return null;
        }

        Vector vector = Own(Floats(tensor));
        Done(tensor.ByteLength);
        return vector;
    }

    private Vector Own(float[] values)
    {
        var vector = new Vector(_kernels, values);
        _weights.Own(vector, vector.Bytes);
        return vector;
    }

    private float[] Floats(in TensorView tensor)
    {
        int columns = checked((int)tensor.Columns);
        var values = new float[checked(columns * (int)tensor.Rows)];
        using WeightMatrix matrix = WeightMatrix.Pack(_team, tensor);
        for (int row = 0; row < tensor.Rows; row++)
        {
            matrix.DequantizeRow(row, values.AsSpan(row * columns, columns));
        }

        return values;
    }

    private float[]? RopeFactors(int contextLength)
    {
        RopeShape? rope = _shape.Layers.Select(layer => layer.Attention.Rope).FirstOrDefault(rope => rope is not null);
        string name = !_tensors.ContainsKey("rope_factors_long.weight") ? "rope_freqs.weight"
            : contextLength > rope!.OriginalContext ? "rope_factors_long.weight"
            : "rope_factors_short.weight";
        if (!_tensors.TryGetValue(name, out TensorView tensor))
        {
            return null;
        }

        float[] factors = Floats(tensor);
        foreach (float factor in factors)
        {
            if (!(factor > 0) || !float.IsFinite(factor))
            {
                throw new InvalidDataException($"tensor '{name}' holds {factor}, expected numbers above 0");
            }
        }

        return factors;
    }

    private void Done(long bytes)
    {
        _doneBytes += bytes;
        _progress?.Invoke(_doneBytes, _totalBytes);
    }
}
