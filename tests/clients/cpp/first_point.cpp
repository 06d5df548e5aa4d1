#include <curl/curl.h>
#include <string>

int main(int argc, char **argv) {
  const std::string bridge = argc > 1 ? argv[1] : "http://127.0.0.1:6007";
  CURL *curl = curl_easy_init();
  curl_slist *headers = curl_slist_append(nullptr, "Content-Type: application/json");
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_URL, (bridge + "/api/v1/write").c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, R"({"runs": [{"run": "cpp/first", "scalars": [{"tag": "loss", "values": [0.9]}]}]})");
  CURLcode result = curl_easy_perform(curl);  // the answers go to standard output
  if (result == CURLE_OK) {
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, (bridge + "/api/v1/scalars?run=cpp/first&tag=loss").c_str());
    result = curl_easy_perform(curl);
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  return result == CURLE_OK ? 0 : 1;
}
