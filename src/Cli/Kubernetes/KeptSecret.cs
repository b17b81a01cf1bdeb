using System.Text;
using System.Text.Json.Nodes;

namespace Lamina.Cli.Kubernetes;

/// <summary>One Secret as the API server gave it; what is changed of it goes back with its version, so that nobody else's change is lost.</summary>
internal sealed class KeptSecret(JsonObject json)
{
    public string Text => json.ToJsonString();

    /// <summary>Entries that are text; others are left as they are and not shown.</summary>
    public IReadOnlyDictionary<string, string> Files
    {
        get
        {
            Dictionary<string, string> files = [];
            foreach ((string name, JsonNode? value) in json["data"] as JsonObject ?? [])
            {
                byte[] bytes = new byte[((string?)value)?.Length ?? 0];
                if (value is not null && Convert.TryFromBase64String((string)value!, bytes, out int count))
                {
                    files[name] = Encoding.UTF8.GetString(bytes, 0, count);
                }
            }

            return files;
        }
    }

    public string? Label(string name) => (string?)json["metadata"]?["labels"]?[name];

    /// <summary>Sets entries and takes others away. Whether anything changed.</summary>
    public bool Change(IReadOnlyDictionary<string, string> files, IEnumerable<string> removed)
    {
        var data = json["data"] as JsonObject;
        if (data is null)
        {
            json["data"] = data = [];
        }

        bool changed = false;
        foreach ((string name, JsonNode? value) in Encode(files))
        {
            changed |= (string?)data[name] != (string?)value;
            data[name] = (string?)value;
        }

        foreach (string name in removed)
        {
            changed |= data.Remove(name);
        }

        return changed;
    }

    public static JsonObject Encode(IReadOnlyDictionary<string, string> files) =>
        new(files.Select(file => KeyValuePair.Create(file.Key, (JsonNode?)Convert.ToBase64String(Encoding.UTF8.GetBytes(file.Value)))));
}
