using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Lamina.EndToEnd.Tests.Operations;
using Lamina.TestSupport;

namespace Lamina.EndToEnd.Tests.Security;

/// <summary>Secrets that go through a cell, searched for afterwards wherever the cell leaves anything: logs, metrics, traces, files, and the memory of its processes.</summary>
public sealed class CanaryTests(ITestOutputHelper output)
{
    [Trait("Attack", "P1")]
    [Trait("Attack", "P2")]
    [Trait("Attack", "E4")]
    [Fact]
    public async Task Secrets_AfterTheirRequests_AreFoundNowhere()
    {
        using var folder = new TemporaryFolder();
        string secret = Guid.NewGuid().ToString("N"), inModel = "model" + Guid.NewGuid().ToString("N")[..9];
        string model = ModelNamed(Path.Combine(folder.Path, "m.gguf"), inModel);
        string temporary = Directory.CreateDirectory(Path.Combine(folder.Path, "tmp")).FullName;
        using TraceReceiver traces = new();
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(
            nodes: 2,
            plannedNodes: 2,
            model: model,
            environment: new Dictionary<string, string>
            {
                ["TMPDIR"] = temporary,
                ["LAMINA_LOG_LEVEL"] = "Trace",
                ["LAMINA__Tracing__Endpoint"] = traces.Address.ToString(),
                ["LAMINA__Tracing__Protocol"] = "Http",
                ["OTEL_BSP_SCHEDULE_DELAY"] = "100",
            },
            asksForKeys: true);
        HttpClient http = cell.Http;
        string key = cell.Key[^40..];

        // Whatever takes a text gets it, in answers, refusals and streams that are left.
        int[] tokens = await TokensAsync(http, secret);
        Assert.InRange(tokens.Length, 12, 40);
        var refusals = new List<string>();
        foreach (int round in Enumerable.Range(0, 3))
        {
            await AskAsync("v1/chat/completions", new { model = "m", messages = new[] { new { role = "user", content = $"{round} {secret}" } }, max_tokens = 24, temperature = 0 });
            await AskAsync("v1/completions", new { model = "m", prompt = $"{round} {secret}", max_tokens = 8, stop = new[] { secret } });
            await AskAsync("v1/completions", new { model = "m", prompt = secret, max_tokens = "many " + secret });
            await AskAsync("v1/completions", new { model = secret, prompt = secret });
            await AskAsync("v1/embeddings", new { model = "m", input = secret });
        }

        using (var leaving = new CancellationTokenSource())
        using (HttpRequestMessage request = new(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(new { model = "m", prompt = secret, max_tokens = 400, stream = true }) })
        using (HttpResponseMessage stream = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leaving.Token))
        {
            await leaving.CancelAsync();
        }

        using (var stranger = new HttpClient { BaseAddress = http.BaseAddress })
        using (HttpRequestMessage request = new(HttpMethod.Get, "v1/models"))
        {
            request.Headers.Authorization = new("Bearer", cell.Key[..^1] + (cell.Key[^1] == 'A' ? 'B' : 'A'));
            refusals.Add(await (await stranger.SendAsync(request)).Content.ReadAsStringAsync());
        }

        foreach (string route in new[] { "metrics", "status.json", "v1/models", "v1/usage" })
        {
            refusals.Add(await http.GetStringAsync(route));
        }

        string[] secrets = [secret, inModel, key];
        Assert.All(refusals, text => Assert.All(secrets, value => Assert.DoesNotContain(value, text, StringComparison.Ordinal)));
        await Eventually.TrueAsync(
            async () => JsonNode.Parse(await http.GetStringAsync("status.json"))!["deployments"]![0]!["runningSequences"]?.GetValue<int>() is 0 or null, TimeSpan.FromSeconds(180), "a generation runs on");
        await EvictAsync(http);

        // Spans of what was answered, of what was refused, and of the nodes that computed.
        await Eventually.TrueAsync(
            () => new[] { "POST /v1/chat/completions", "POST /v1/embeddings", "generate", "head", "tail" }.All(name => traces.Spans.Any(span => span.Name == name)), TimeSpan.FromSeconds(180), "no traces came");
        Assert.All(secrets, value => Assert.False(traces.Holds(Encoding.UTF8.GetBytes(value)) || traces.Holds(Encoding.Unicode.GetBytes(value)), "a secret is in the traces"));

        // Logs at their finest, and every file: the model's own copies hold the name that was planted in it.
        Assert.Contains("\"level\":\"trace\"", cell.Logs, StringComparison.Ordinal);
        Assert.All(secrets, value => Assert.DoesNotContain(value, cell.Logs, StringComparison.Ordinal));
        foreach (string file in new[] { folder.Path, cell.FolderPath }.SelectMany(path => Directory.EnumerateFiles(path, "*", SearchOption.AllDirectories)))
        {
            byte[] content = await ReadAsync(file);
            bool ofTheModel = file.EndsWith(".gguf", StringComparison.Ordinal) || Path.GetFileName(file).StartsWith("sha256-", StringComparison.Ordinal);
            foreach (string value in secrets.Where(value => value != inModel || !ofTheModel))
            {
                Assert.True(content.AsSpan().IndexOf(Encoding.UTF8.GetBytes(value)) < 0 && content.AsSpan().IndexOf(Encoding.Unicode.GetBytes(value)) < 0, $"{file} holds {(value == inModel ? "the model's name" : value == key ? "the key" : "the prompt")}");
            }
        }

        int[] nodes = [.. cell.Nodes.Values.Select(node => node.Id)];
        Assert.SkipUnless(ProcessMemory.CanRead(nodes[0]), "the memory of other processes can be read by root only: logs, metrics and files were searched, memory was not");

        // A node never sees text or keys; of a prompt it has tokens, as numbers and as they travel.
        byte[][] wanted = [Encoding.UTF8.GetBytes(secret), Encoding.Unicode.GetBytes(secret), Encoding.UTF8.GetBytes(key), Encoding.Unicode.GetBytes(key), [.. tokens.SelectMany(BitConverter.GetBytes)], [.. tokens.SelectMany(OnTheWire)]];
        foreach (int node in nodes)
        {
            // The prefix cache may keep what was asked until others take its last block.
            int[] left = ProcessMemory.Count(node, output.WriteLine, wanted);
            for (int round = 1; round < 4 && left.Any(count => count != 0); round++)
            {
                output.WriteLine($"node {node}: found {string.Join(", ", left)} times after {round} rounds of other prompts");
                await EvictAsync(http, round);
                left = ProcessMemory.Count(node, output.WriteLine, wanted);
            }

            output.WriteLine($"node {node}: prompt as UTF-8, UTF-16; key as UTF-8, UTF-16; tokens as numbers, on the wire: found {string.Join(", ", left)} times");
            Assert.All(left, count => Assert.Equal(0, count));
        }

        // The coordinator takes and gives text in strings of the collected heap, dozens of copies. Once nothing is asked of it that is given back, but for what may lie behind the last object of a
        // piece of heap that stays in use: this line tells how much.
        http.Dispose();
        int[] held = [];
        await Eventually.TrueAsync(
            () =>
            {
                int[] found = ProcessMemory.Count(cell.Coordinator.Id, null, wanted);
                if (!found.SequenceEqual(held))
                {
                    held = found;
                    output.WriteLine($"coordinator: {string.Join(", ", held)} times");
                }

                return held.Sum() <= 2;
            },
            TimeSpan.FromSeconds(300), "the coordinator holds secrets");

        async Task AskAsync(string route, object body)
        {
            using HttpResponseMessage response = await http.PostAsJsonAsync(route, body);
            if (!response.IsSuccessStatusCode)
            {
                refusals.Add(await response.Content.ReadAsStringAsync());
            }
        }
    }

    /// <summary>A pipeline that stops takes what its prefix cache knew of prompts with it: no other prompt will ever take those entries' place.</summary>
    [Trait("Attack", "E4")]
    [Fact]
    public async Task PipelineThatLostANode_LeavesNoPromptInTheMemoryOfTheOther()
    {
        const string Model = "lamina-tiny-q8_0";
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 2, plannedNodes: 2);
        Assert.SkipUnless(ProcessMemory.CanRead(cell.Nodes["node-1"].Id), "the memory of other processes can be read by root only");
        string secret = Guid.NewGuid().ToString("N");

        // More than a block of 32 positions, for only whole blocks stay in the cache; and its first tokens, which lie in one.
        string prompt = secret + string.Concat(Enumerable.Repeat(" and a little girl played in the garden", 6));
        byte[] tokens = [.. (await TokensAsync(cell.Http, prompt, Model)).Take(12).SelectMany(BitConverter.GetBytes)];
        using (HttpResponseMessage answer = await cell.Http.PostAsJsonAsync("v1/completions", new { model = Model, prompt, max_tokens = 40, temperature = 0 }))
        {
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }

        LaminaProcess head = Assert.Single(cell.Nodes.Values, node => ProcessMemory.Count(node.Id, null, tokens)[0] > 0);
        LaminaProcess.Send(cell.Nodes.Values.Single(node => node != head).Id, 9);
        await Eventually.TrueAsync(() => ProcessMemory.Count(head.Id, null, tokens)[0] == 0, TimeSpan.FromSeconds(120), "the head still holds the prompt");
        Assert.False(head.HasExited, "the head has ended");
    }

    /// <summary>A token id in MessagePack.</summary>
    private static byte[] OnTheWire(int token) =>
        token < 128 ? [(byte)token] : token < 256 ? [0xCC, (byte)token] : token < 65536 ? [0xCD, (byte)(token >> 8), (byte)token] : [0xCE, (byte)(token >> 24), (byte)(token >> 16), (byte)(token >> 8), (byte)token];

    /// <summary>The search finds what is there: a value that this process holds.</summary>
    [Fact]
    public void Search_OfOwnMemory_FindsAPlantedValue()
    {
        byte[] planted = Guid.NewGuid().ToByteArray();
        Assert.True(ProcessMemory.Count(Environment.ProcessId, null, planted)[0] > 0);
        GC.KeepAlive(planted);
    }

    /// <summary>Other prompts take all the blocks that the prefix cache kept, as they do sooner or later, and their buffers the place of older ones.</summary>
    private static async Task EvictAsync(HttpClient http, int round = 0)
    {
        const int Tokens = 480, BlockPositions = 32, Together = 16;
        int blocks = JsonNode.Parse(await http.GetStringAsync("status.json"))!["deployments"]![0]!["kvBlocks"]!.GetValue<int>();
        Assert.True(blocks > 0);
        for (int sent = 0; sent < (blocks / (Tokens / BlockPositions)) + 2; sent += Together)
        {
            int[][] fillers = [.. Enumerable.Range(sent, Together).Select(filler => Enumerable.Range(0, Tokens).Select(i => 100 + (((i * 7) + (filler * 131) + (i * filler) + (round * 53)) % 800)).ToArray())];
            using HttpResponseMessage response = await http.PostAsJsonAsync("v1/completions", new { model = "m", prompt = fillers, max_tokens = 1 });
            Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        }
    }

    private static async Task<int[]> TokensAsync(HttpClient http, string text, string model = "m")
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("tokenize", new { model, content = text });
        return JsonNode.Parse(await response.Content.ReadAsStringAsync())!["tokens"]!.AsArray().Select(token => token!.GetValue<int>()).ToArray();
    }

    /// <summary>The built-in model under another name of the same length.</summary>
    private static string ModelNamed(string path, string name)
    {
        byte[] file = File.ReadAllBytes(Repository.File("models/lamina-tiny-q8_0.gguf"));
        const string Own = "Lamina Tiny 4M";
        Assert.Equal(Own.Length, name.Length);
        Encoding.ASCII.GetBytes(name).CopyTo(file, file.AsSpan().IndexOf("Lamina Tiny 4M"u8));
        File.WriteAllBytes(path, file);
        return path;
    }

    private static async Task<byte[]> ReadAsync(string file)
    {
        try
        {
            // The runtime keeps pipes and sockets there, which would be waited on.
            Compute.Gguf.FileKind.RequireRegular(file);
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            byte[] bytes = new byte[stream.Length];
            int read = await stream.ReadAtLeastAsync(bytes, bytes.Length, throwOnEndOfStream: false);
            return bytes[..read];
        }
        catch (IOException)
        {
            return [];
        }
    }

    /// <summary>Another process' memory, read through /proc.</summary>
    private static class ProcessMemory
    {
        public static bool CanRead(int processId)
        {
            try
            {
                using FileStream memory = File.OpenRead($"/proc/{processId}/mem");
                return true;
            }
            catch (Exception e) when (e is UnauthorizedAccessException or IOException)
            {
                return false;
            }
        }

        /// <summary>How often each of the values stands in what the process may write; <paramref name="tell"/> hears where, with what stands around it.</summary>
        public static int[] Count(int processId, Action<string>? tell, params byte[][] wanted)
        {
            int[] found = new int[wanted.Length];
            int longest = wanted.Max(value => value.Length);
            using FileStream present = new($"/proc/{processId}/pagemap", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            using FileStream memory = new($"/proc/{processId}/mem", FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            byte[] buffer = new byte[4 << 20];
            foreach (string line in File.ReadAllLines($"/proc/{processId}/maps"))
            {
                string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (!fields[1].StartsWith("rw", StringComparison.Ordinal))
                {
                    continue;
                }

                long[] range = [.. fields[0].Split('-').Select(end => long.Parse(end, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
                int kept = 0;
                for (long at = range[0]; at < range[1];)
                {
                    // Caches are sized for their fullest hour: what was never touched is not there to read.
                    long next = FirstPresent(present, at, range[1]);
                    if (next != at)
                    {
                        kept = 0;
                        at = next;
                        continue;
                    }

                    int read;
                    try
                    {
                        memory.Position = at;
                        read = memory.Read(buffer, kept, (int)Math.Min(1 << 20, range[1] - at));
                    }
                    catch (IOException)
                    {
                        break;
                    }

                    if (read == 0)
                    {
                        break;
                    }

                    int total = kept + read;
                    for (int i = 0; i < wanted.Length; i++)
                    {
                        // What is kept of the piece before holds no whole value, but for the shorter ones.
                        int from = Math.Max(0, kept - (wanted[i].Length - 1));
                        for (int hit; (hit = buffer.AsSpan(from, total - from).IndexOf(wanted[i])) >= 0; from += hit + 1)
                        {
                            found[i]++;
                            int first = Math.Max(0, from + hit - 64), last = Math.Min(total, from + hit + wanted[i].Length + 64);
                            tell?.Invoke($"value {i} at {at - kept + from + hit:x} of {line}: {Convert.ToHexString(buffer, first, last - first)}");
                        }
                    }

                    kept = Math.Min(longest - 1, total);
                    buffer.AsSpan(total - kept, kept).CopyTo(buffer);
                    at += read;
                }
            }

            return found;
        }

        /// <summary>The first address from <paramref name="at"/> whose page is in memory, in steps of 4096 pages.</summary>
        private static long FirstPresent(FileStream pagemap, long at, long end)
        {
            const int Pages = 4096;
            long page = at / Environment.SystemPageSize;
            byte[] entries = new byte[Pages * 8];
            pagemap.Position = page * 8;
            int read = pagemap.Read(entries, 0, (int)Math.Min(entries.Length, ((end / Environment.SystemPageSize) - page) * 8));
            for (int i = 7; i < read; i += 8)
            {
                if ((entries[i] & 0xC0) != 0)
                {
                    return Math.Max(at, (page + (i / 8)) * Environment.SystemPageSize);
                }
            }

            return read <= 0 ? end : Math.Min(end, (page + (read / 8)) * Environment.SystemPageSize);
        }
    }
}
