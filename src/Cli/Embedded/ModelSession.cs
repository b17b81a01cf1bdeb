using System.Text.Json.Nodes;
using Lamina.Cli.Output;
using Lamina.Cluster.Messages;
using Lamina.Compute.Devices;
using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Templates;
using Lamina.Compute.Tokenization;
using Lamina.Coordinator;
using Lamina.Coordinator.Planning;
using Lamina.Node.Local;

namespace Lamina.Cli.Embedded;

/// <summary>A model ready to generate, in this process or over an embedded cell; commands see no difference.</summary>
internal sealed class ModelSession : IAsyncDisposable
{
    private static readonly TenantId LocalTenant = new("local");

    private readonly GgufMetadata _metadata;
    private readonly LocalEngine? _engine;

    /// <summary>Open as long as the model is: adapters and a draft model.</summary>
    private List<GgufFile> _besides = [];
    private ComputeDevice? _device;
    private readonly EmbeddedCell? _cell;

    private ModelSession(GgufFile file, LocalEngine? engine, EmbeddedCell? cell, IReadOnlyList<SessionStage> stages)
    {
        _metadata = file.Metadata;
        _engine = engine;
        _cell = cell;
        Stages = stages;
        Tokenizer = Tokenizer.FromGguf(file.Metadata);
    }

    public Tokenizer Tokenizer { get; }
    public IReadOnlyList<SessionStage> Stages { get; }
    /// <summary>Null when it runs in this process.</summary>
    public Cell? Cell => _cell?.Cells[0];

    public TenantId Tenant => _cell?.Tenant ?? LocalTenant;

    public static async Task<ModelSession> OpenAsync(SessionOptions options, LoadProgress progress, CancellationToken cancellation)
    {
        // Its tensors are copied while loading; from then on what happens to the file is nobody's concern.
        using GgufFile file = GgufFile.Open(options.ModelPath);
        ModelSession session = options.Nodes == 1 && !options.AsCell
            ? OpenLocal(file, options, progress)
            : await OpenCellAsync(file, options, progress, cancellation);
        progress.Done();
        return session;
    }

    public Task<GenerationProtocol.GenerationEnded> GenerateAsync(GenerationProtocol.Submit submit, Action<GenerationProtocol.TokensGenerated> onTokens, CancellationToken cancellation) =>
        _engine is not null ? _engine.GenerateAsync(submit, onTokens, cancellation) : _cell!.GenerateAsync(submit, onTokens, cancellation);

    /// <summary>Plain text as the model expects a prompt: with BOS where its file says so.</summary>
    public int[] EncodePrompt(string text)
    {
        int[] ids = Prompt.Build(Tokenizer, text);
        return ids.Length > 0 ? ids : throw new UsageException("the prompt is empty");
    }

    public int[] EncodeChat(JsonArray messages)
    {
        RenderedPrompt prompt = ChatPrompt.FromMetadata(_metadata, Tokenizer).Render(new ChatPromptInput(messages, Now: DateTime.Now));
        return Prompt.Build(Tokenizer, prompt.Text, prompt.Trusted);
    }

    public async ValueTask DisposeAsync()
    {
        _engine?.Dispose();
        Release(_device);
        if (_cell is not null)
        {
            await _cell.DisposeAsync();
        }

        _besides.ForEach(other => other.Dispose());
    }

    private static ModelSession OpenLocal(GgufFile file, SessionOptions options, LoadProgress progress)
    {
        ModelShape shape = ModelShape.FromGguf(file.Metadata);
        int context = ContextLength(options, shape);
        IReadOnlyList<LayerRange> stages = options.Stages is null ? [new LayerRange(0, shape.LayerCount)] : LayerRanges.Parse(options.Stages, shape.LayerCount);
        int blocks = (context + KvCache.BlockPositions - 1) / KvCache.BlockPositions * options.Concurrency;
        StageSettings settings = new(
            context, blocks, options.Concurrency, MaxBatchRows: 512, PrefillChunk: 512, (int)KvCacheTypes.Parse(options.KvCacheType),
            options.Threads > 0 ? options.Threads : Math.Max(1, Environment.ProcessorCount / stages.Count),
            options.DraftTokens);
        var besides = new List<GgufFile>();
        ComputeDevice? device = null;
        try
        {
            device = ComputeDevice.Open(options.Devices[0]);
            GgufFile? draft = options.DraftPath is null ? null : Open(options.DraftPath);
            if (draft is not null && SharedVocabulary.Difference(Tokenizer.FromGguf(file.Metadata), Tokenizer.FromGguf(draft.Metadata)) is { } difference)
            {
                throw new CommandException($"{options.DraftPath} cannot guess for the model, its vocabulary is another: {difference}");
            }

            LocalEngine engine = LocalEngine.Load(
                file,
                settings,
                stages,
                (done, total) => progress.Report("loading", done, total),
                [.. options.Adapters.Select(adapter => new LocalAdapter(Open(adapter.Path), adapter.Scale))],
                draft,
                device);
            return new ModelSession(file, engine, cell: null, [.. stages.Select(range => new SessionStage("local", range.First, range.End - 1))]) { _besides = besides, _device = device };
        }
        catch
        {
            besides.ForEach(other => other.Dispose());
            Release(device);
            throw;
        }

        GgufFile Open(string path)
        {
            GgufFile other = GgufFile.Open(path);
            besides.Add(other);
            return other;
        }
    }

    private static void Release(ComputeDevice? device)
    {
        if (device is not null && device != ComputeDevice.Cpu)
        {
            device.Dispose();
        }
    }

    private static async Task<ModelSession> OpenCellAsync(GgufFile file, SessionOptions options, LoadProgress progress, CancellationToken cancellation)
    {
        ModelOptions model = new()
        {
            Name = "model",
            Path = Path.GetFullPath(options.ModelPath),
            Nodes = options.Nodes,
            Stages = options.Stages,
            ContextLength = ContextLength(options, ModelShape.FromGguf(file.Metadata)),
            Threads = options.Threads,
            Draft = options.DraftPath is null ? null : Path.GetFullPath(options.DraftPath),
            DraftTokens = options.DraftTokens,
            KvCacheType = options.KvCacheType,
        };
        EmbeddedCell cell = await EmbeddedCell.StartAsync(new EmbeddedCellOptions { Nodes = options.Nodes, Threads = options.Threads, Devices = options.Devices, Models = [model] }, progress, cancellation);
        try
        {
            IReadOnlyList<SessionStage> stages = [.. cell.View.Stages.Select(stage => new SessionStage(stage.Node, stage.FirstLayer, stage.EndLayer - 1))];
            return new ModelSession(file, engine: null, cell, stages);
        }
        catch
        {
            await cell.DisposeAsync();
            throw;
        }
    }

    private static int ContextLength(SessionOptions options, ModelShape shape) =>
        options.ContextLength == 0 ? Math.Min(shape.ContextLength, Math.Max(options.ContextAtLeast, SessionOptions.DefaultContextLimit))
        : options.ContextLength <= shape.ContextLength ? options.ContextLength
        : throw new UsageException($"--context is {options.ContextLength}; the model was trained for {shape.ContextLength}");
}
