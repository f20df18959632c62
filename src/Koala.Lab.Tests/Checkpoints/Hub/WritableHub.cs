using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Koala.Lab.Tests.Checkpoints.Hub;

/// <summary>A local hub that takes files as the real one does: preupload, git LFS, commit. Only who has the token may write.</summary>
internal sealed class WritableHub : IDisposable
{
    public const string Token = "hf_test";

    public WritableHub(string repo = "org/head")
    {
        Hub = new FakeHub { Repo = repo };
        Hub.Misbehave = request => Misbehave(request) ?? Behave(request);
    }

    public FakeHub Hub { get; }

    /// <summary>Whether the repository exists.</summary>
    public bool Exists { get; set; }

    public bool IsPrivate { get; private set; }

    /// <summary>The length of the parts in which the hub wants large files; null wants them whole.</summary>
    public int? PartSize { get; set; }

    /// <summary>The contents in git LFS by their SHA-256.</summary>
    public Dictionary<string, byte[]> Large { get; } = [];

    /// <summary>The first lines of the commits' messages.</summary>
    public List<string> Commits { get; } = [];

    public List<string> Verified { get; } = [];

    /// <summary>Gives another answer than the correct one, or null for the correct one.</summary>
    public Func<Request, Reply?> Misbehave { get; set; } = _ => null;

    public Request[] Writes => [.. Hub.Requests.Where(request => request.Method != "GET")];

    public void Dispose() => Hub.Dispose();

    private Reply? Behave(Request request)
    {
        var (path, api) = (request.Path.Split('?')[0], $"/api/models/{Hub.Repo}");
        if (request.Method == "GET") return Exists ? null : Missing("RepoNotFound");
        if (path.StartsWith("/store/", StringComparison.Ordinal)) return Store(path["/store/".Length..], request);
        if (request["Authorization"] != $"Bearer {Token}") return Json(401, new { error = "no token" });
        if (path == "/api/repos/create") return Create(request);
        if (path == $"{api}/preupload/main") return Preupload(request);
        if (path == $"/{Hub.Repo}.git/info/lfs/objects/batch") return Batch(request);
        if (path == "/complete") return Complete(request);
        if (path == "/verify") return Verify(request);
        return path == $"{api}/commit/main" ? Commit(request) : Missing("EntryNotFound");
    }

    private Reply Create(Request request)
    {
        if (Exists) return Json(409, new { error = "exists" });
        (Exists, IsPrivate) = (true, Body(request)["private"]!.GetValue<bool>());
        return Json(200, new { url = Hub.Endpoint });
    }

    private static Reply Preupload(Request request) => Json(200, new
    {
        files = Body(request)["files"]!.AsArray().Select(file => new
        {
            path = file!["path"]!.GetValue<string>(),
            uploadMode = file["size"]!.GetValue<long>() >= 1000 ? "lfs" : "regular",
            shouldIgnore = false,
        }),
    });

    private Reply Batch(Request request)
    {
        var wanted = Body(request)["objects"]![0]!;
        var (oid, size) = (wanted["oid"]!.GetValue<string>(), wanted["size"]!.GetValue<int>());
        if (Large.ContainsKey(oid)) return Json(200, new { objects = new[] { new { oid, size } } });
        var header = new Dictionary<string, string>();
        if (PartSize is { } part)
        {
            header["chunk_size"] = $"{part}";
            for (var i = 0; i * part < size; i++) header[$"{i + 1:00000}"] = $"{Hub.Endpoint}/store/{oid}/{i}";
        }
        else
        {
            header["X-Signed"] = "yes";
        }
        var upload = new { href = PartSize is null ? $"{Hub.Endpoint}/store/{oid}" : $"{Hub.Endpoint}/complete", header };
        var actions = new { upload, verify = new { href = $"{Hub.Endpoint}/verify" } };
        return Json(200, new { objects = new[] { new { oid, size, actions } } });
    }

    private Reply Store(string name, Request request)
    {
        if (PartSize is null && request["X-Signed"] != "yes") return new Reply(403);
        Large[name] = request.Body;
        return new Reply(200) { Headers = { ["ETag"] = $"\"{name[^1]}\"" } };
    }

    private Reply Complete(Request request)
    {
        var (oid, parts) = (Body(request)["oid"]!.GetValue<string>(), Body(request)["parts"]!.AsArray());
        var tags = parts.Select(part => $"{part!["partNumber"]} {part["etag"]}");
        var expected = Enumerable.Range(0, parts.Count).Select(i => $"{i + 1} \"{i}\"");
        if (!tags.SequenceEqual(expected)) return Json(400, new { error = "wrong parts" });
        Large[oid] = [.. Enumerable.Range(0, parts.Count).SelectMany(i => Large[$"{oid}/{i}"])];
        return Json(200, new { });
    }

    private Reply Verify(Request request)
    {
        var oid = Body(request)["oid"]!.GetValue<string>();
        Verified.Add(oid);
        return Large.TryGetValue(oid, out var content) && Convert.ToHexStringLower(SHA256.HashData(content)) == oid
            ? Json(200, new { })
            : Json(422, new { message = "the content has another hash" });
    }

    private Reply Commit(Request request)
    {
        foreach (var line in Encoding.UTF8.GetString(request.Body).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var (key, value) = (JsonNode.Parse(line)!["key"]!.GetValue<string>(), JsonNode.Parse(line)!["value"]!);
            if (key == "header") Commits.Add(value["summary"]!.GetValue<string>());
            else if (key == "file") Hub.Files[$"{value["path"]}"] = Convert.FromBase64String($"{value["content"]}");
            else Hub.Files[$"{value["path"]}"] = Large[$"{value["oid"]}"];
        }
        Hub.Commit = new string((char)('a' + Commits.Count), 40);
        return Json(200, new { success = true, commitOid = Hub.Commit });
    }

    private static JsonNode Body(Request request) => JsonNode.Parse(request.Body)!;

    public static Reply Json(int status, object body) => new(status, System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(body));

    private static Reply Missing(string code) => new(404) { Headers = { ["X-Error-Code"] = code } };
}
