using Lamina.Compute.Gguf;
using Lamina.Compute.Quantization;
using Lamina.Compute.Synthesis;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>
/// <c>lamina serve --nodes 3</c> with the built-in model, the same weights under a chat template that knows tools, and a made-up encoder. Calls and their results do not show in
/// the template, so after them the model sees the question alone, to which its answer is known.
/// </summary>
public sealed class ServedModels : IAsyncLifetime
{
    public const string Tools = "tools";
    public const string Encoder = "encoder";

    private const string Template =
        "{% if tools %}{# <tool_call> #}{% endif %}{% for message in messages %}{% if message.role != 'tool' and not message.tool_calls %}"
        + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}{{ '<|im_start|>assistant\\n' }}";

    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-served-").FullName;

    internal LaminaProcess Process { get; private set; } = null!;

    public Uri Address { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        string tools = Path.Combine(_folder, Tools + ".gguf");
        using (GgufFile tiny = GgufFile.Open(Repository.File("models/lamina-tiny-q8_0.gguf")))
        {
            GgufMetadata metadata = new GgufMetadataBuilder(tiny.Metadata).Set("tokenizer.chat_template", Template).Build();
            await File.WriteAllBytesAsync(tools, GgufWriter.ToBytes(metadata, [.. tiny.Tensors.Select(t => (new GgufTensorInfo(t.Name, t.Type, t.Dimensions, 0), t.RowBytes(0, (int)t.Rows).ToArray()))]));
        }

        string encoder = Path.Combine(_folder, Encoder + ".gguf");
        ModelSynthesizer.Write(encoder, new SynthesisOptions(SyntheticShape.Preset("tiny"), QuantizationMix.Q8_0, "bert"));
        Process = LaminaProcess.Start("serve", Repository.File("models/lamina-tiny-q8_0.gguf"), tools, encoder, "--nodes", "3", "--listen", "127.0.0.1:0");
        string line = await Process.WaitForLineAsync("API at", TimeSpan.FromSeconds(180));
        Address = new Uri(line[line.IndexOf("http", StringComparison.Ordinal)..line.IndexOf("v1", StringComparison.Ordinal)]);
    }

    public ValueTask DisposeAsync()
    {
        Process.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}
